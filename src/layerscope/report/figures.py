"""Figures as the report shows them: whole, and in the smaller of two formats."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from jinja2 import Template
from PIL import Image, UnidentifiedImageError

from layerscope.io.errors import UserError, damaged
from layerscope.io.svg import read_svg
from layerscope.studies.series import Series

LARGER = 1.25  # than on paper, which is read from nearer
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # an empty last chunk, whose checksum Pillow does not read


@dataclass(frozen=True)
class Figure:
    name: str  # of its files, and of its anchor
    title: str
    caption: str
    image: str  # data URI
    width: int  # pixels to show it at
    vector: str  # path of the PDF within the results
    of_sample: bool = False  # it is about the text, and not about models


def load_figure(
    path: str, captions: Path, root: Path, title: str, of_sample: bool = False, series: Sequence[Series] = ()
) -> Figure:
    """Read a figure, from its SVG or its PNG, whichever is smaller; its caption has the name of the figure.

    Args:
        path: of the PNG; the SVG is beside it.
        captions: folder of the captions.
        root: folder of the results.
        series: revisions of one model that the figure lays out along an axis.

    Raises:
        UserError: a file is not as it was written.
    """
    name = Path(path).stem
    template = Template((captions / f"{name}.rst").read_text(encoding="utf-8"))
    # Captions are templates of Snakemake's own report, which gives them its job.
    caption = template.render(snakemake={"params": {"spec": {name: {"settings": {"series": series}}}}})
    svg, width = read_svg(Path(path).with_suffix(".svg"))
    kind, image = min((("svg+xml", svg), ("png", read_png(path))), key=lambda found: len(found[1]))
    return Figure(
        name=name,
        title=title,
        caption=" ".join(caption.split()),
        image=f"data:image/{kind};base64,{base64.b64encode(image).decode()}",
        width=round(width * LARGER),
        vector=str(Path(path).with_suffix(".pdf").relative_to(root)),
        of_sample=of_sample,
    )


def read_png(path: str) -> bytes:
    """The bytes of a PNG file, every one of them checked.

    Raises:
        UserError: the file is empty, not a PNG, or not as it was written.
    """
    png = Path(path).read_bytes()
    if not png:
        raise damaged(path, "is empty, not a PNG image")
    try:
        with Image.open(BytesIO(png), formats=["PNG"]) as image:
            image.verify()  # the checksums; it leaves the image unusable
        with Image.open(BytesIO(png), formats=["PNG"]) as image:
            image.load()
        if not png.endswith(PNG_END):
            raise damaged(path, "is not a whole PNG image (it does not end as one)")
    except (UserError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise damaged(path, "is not a PNG image") from None
    except Exception as error:  # Pillow raises half a dozen kinds
        raise damaged(path, f"is not a whole PNG image ({' '.join(str(error).split())})") from error
    return png
