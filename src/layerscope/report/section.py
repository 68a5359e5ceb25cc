"""A study's part of the report."""

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypedDict

from jinja2 import Template
from PIL import Image, UnidentifiedImageError

from layerscope.errors import UserError, damaged

PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # an empty last chunk, whose checksum Pillow does not read


@dataclass(frozen=True)
class Figure:
    title: str
    caption: str
    image: str  # data URI
    width: int  # pixels to show it at: half its own, for sharp screens
    vector: str  # link to the PDF


@dataclass(frozen=True)
class Section:
    """One study's part of the report."""

    title: str
    question: str
    findings: list[str]
    figures: list[Figure]
    tables: dict[str, str]  # link → what it holds


class Files(TypedDict):
    """What the report reads of a study: the paths of layers.csv and of the figures' PNG files, in order."""

    layers: str
    figures: list[str]


def load_figures(files: Files, captions: dict[str, str], models: list[str], root: Path) -> list[Figure]:
    return [load_figure(path, captions, models, root) for path in files["figures"]]


def load_figure(path: str, captions: dict[str, str], models: list[str], root: Path) -> Figure:
    """A figure by the path of its PNG; its caption is that of its name without the model.

    Raises:
        UserError: the file is not a whole PNG.
    """
    name = Path(path).stem
    model = next((model for model in models if name.endswith(f"_{model}")), "")
    kind = name.removesuffix(f"_{model}") if model else name
    # Captions are shared with `snakemake --report`, which offers them the job as `snakemake`.
    caption = Template(captions[kind]).render(snakemake={"wildcards": {"model": model}})
    png, width = read_png(path)
    return Figure(
        title=kind.replace("_", " ").capitalize() + (f": {model}" if model else ""),
        caption=" ".join(caption.split()),
        image=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        width=width // 2,
        vector=str(Path(path).with_suffix(".pdf").relative_to(root)),
    )


def read_png(path: str) -> tuple[bytes, int]:
    """The bytes of a PNG file and the width of its image in pixels, after a check of every byte.

    Raises:
        UserError: the file is empty, holds something else, or is not what a program wrote.
    """
    png = Path(path).read_bytes()
    if not png:
        raise damaged(path, "is empty, not a PNG image")
    try:
        with Image.open(BytesIO(png), formats=["PNG"]) as image:
            image.verify()  # the checksums; it leaves the image unusable
        with Image.open(BytesIO(png), formats=["PNG"]) as image:
            image.load()
            width = image.width
        if not png.endswith(PNG_END):
            raise damaged(path, "is not a whole PNG image (it does not end as one)")
    except (UserError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise damaged(path, "is not a PNG image") from None
    except Exception as error:  # Pillow raises half a dozen kinds
        raise damaged(path, f"is not a whole PNG image ({' '.join(str(error).split())})") from error
    return png, width
