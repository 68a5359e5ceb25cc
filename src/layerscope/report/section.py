"""A study's part of the report."""

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

from PIL import Image, UnidentifiedImageError

from layerscope.io.errors import UserError, damaged
from layerscope.io.hdf5 import read_root_attributes
from layerscope.io.svg import read_svg

PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # an empty last chunk, whose checksum Pillow does not read


@dataclass(frozen=True)
class Figure:
    title: str
    caption: str
    image: str  # data URI
    width: int  # pixels to show it at
    vector: str  # link to the PDF


@dataclass(frozen=True)
class Summary:
    """The numbers of all models, one column per model."""

    models: list[str]
    rows: list[list[str]]  # what the numbers are, then one number per model

    @classmethod
    def of(cls, numbers: dict[str, dict[str, str]]) -> Self:
        """Of model → what a number is → the number, with true minus signs."""
        of_models = list(numbers.values())
        return cls(list(numbers), [[what, *(with_minus(of[what]) for of in of_models)] for what in of_models[0]])


def with_minus(numbers: str) -> str:
    """Numbers as text, with true minus signs (U+2212)."""
    return numbers.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Run:
    """How the values of one model came about."""

    model: str
    source: str
    commit: str
    text: str
    tokenizer: str
    dtype: str
    device: str
    attention: str
    batches: str
    torch: str
    transformers: str


@dataclass(frozen=True)
class Section:
    """One study's part of the report."""

    title: str
    question: str
    findings: list[str]
    figures: list[Figure]
    tables: dict[str, str]  # link → what it holds
    runs: list[Run]
    summary: Summary | None = None  # shown above the findings


@dataclass(frozen=True)
class Files:
    """The files of a study that the report reads."""

    root: Path  # folder of the report, which links are relative to
    figures: list[str]  # PNG files, in order
    runs: list[str]  # an HDF5 file of each model, whose attributes say how its values came about
    tables: dict[str, str | list[str]]
    tokenizers: list[str]
    titles: dict[str, str]  # figure → what it shows

    def table(self, name: str) -> str:
        """The path of a table that exists once."""
        path = self.tables[name]
        assert isinstance(path, str)
        return path

    def of_tokenizers(self, name: str) -> dict[str, str]:
        """Tokenizer → path, for a table that exists once per tokenizer."""
        return dict(zip(self.tokenizers, self.tables[name], strict=True))

    def link(self, path: str) -> str:
        """A path as a link in the report."""
        return str(Path(path).relative_to(self.root))


def run_rows(paths: list[str], places: dict[str, str]) -> list[Run]:
    """What was run, from the attributes of HDF5 files, without duplicates.

    Args:
        places: format of a file → its place within the results.

    Raises:
        UserError: a file is damaged, or belongs in another place.
    """
    runs = []
    for path in paths:
        of = {key: str(value) for key, value in read_root_attributes(path, places).items()}
        if "corpus" in of:
            text = f"{of['corpus']} ({of['corpus_source']}, {of['corpus_commit']})"
        else:
            text = f"{of['sentences']}, target '{of['target']}'"
        run = Run(
            model=of["model"],
            source=of["model_source"],
            commit=of["model_commit"],
            text=text,
            tokenizer=of["tokenizer"],
            dtype=of["dtype"],
            device=of["device"],
            attention=of["attention_implementation"],
            batches=f"{of['batch_size']} × {of['sequence_length']}",
            torch=of["torch_version"],
            transformers=of["transformers_version"],
        )
        runs.append(run)
    return list(dict.fromkeys(runs))


def load_figures(files: Files, captions: Path) -> list[Figure]:
    """The figures of a study.

    Args:
        captions: folder of the captions.
    """
    return [load_figure(path, captions, files.root, files.titles) for path in files.figures]


def load_figure(path: str, captions: Path, root: Path, titles: dict[str, str]) -> Figure:
    """Read a figure, from its SVG or its PNG, whichever is smaller; its caption has the name of the figure.

    Raises:
        UserError: a file is not as it was written.
    """
    name, vector = Path(path).stem, Path(path).with_suffix(".svg")
    caption = (captions / f"{name}.rst").read_text(encoding="utf-8")
    svg, width = read_svg(vector)
    png = read_png(path)
    kind, image = min((("svg+xml", svg), ("png", png)), key=lambda found: len(found[1]))
    return Figure(
        title=titles[name],
        caption=" ".join(caption.split()),
        image=f"data:image/{kind};base64,{base64.b64encode(image).decode()}",
        width=width,
        vector=str(Path(path).with_suffix(".pdf").relative_to(root)),
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
