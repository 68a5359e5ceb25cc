"""A study's part of the report."""

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from jinja2 import Template
from PIL import Image, UnidentifiedImageError

from layerscope.io.errors import UserError, damaged
from layerscope.io.hdf5 import read_root_attributes

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
    runs: list[dict[str, str]]  # what was run


@dataclass(frozen=True)
class Files:
    """What the report reads of a study."""

    root: Path  # folder of the report, which links start from
    figures: list[str]  # their PNG files, in order
    runs: list[str]  # an HDF5 file of each model, whose attributes say how values came about
    tables: dict[str, str | list[str]]
    tokenizers: list[str]

    def table(self, name: str) -> str:
        """The path of a table of which there is one."""
        path = self.tables[name]
        assert isinstance(path, str)
        return path

    def of_tokenizers(self, name: str) -> dict[str, str]:
        """Tokenizer → path, of a table of which there is one for each."""
        return dict(zip(self.tokenizers, self.tables[name], strict=True))

    def link(self, path: str) -> str:
        """A link from the report."""
        return str(Path(path).relative_to(self.root))


def run_rows(paths: list[str], places: dict[str, str]) -> list[dict[str, str]]:
    """What was run, from the attributes of HDF5 files: one row for each that differs.

    Args:
        places: format of a file → its place within the results.

    Raises:
        UserError: a file is damaged, or not that of its place.
    """
    rows = []
    for path in paths:
        of = {key: str(value) for key, value in read_root_attributes(path, places).items()}
        if "corpus" in of:
            text = f"{of['corpus']} ({of['corpus_source']}, {of['corpus_commit']})"
        else:
            text = f"{of['sentences']}, target '{of['target']}'"
        row = {
            "model": of["model"],
            "source": of["model_source"],
            "commit": of["model_commit"],
            "text": text,
            "tokenizer": of["tokenizer"],
            "computed": f"{of['dtype']} on {of['device']}, attention {of['attention_implementation']}, "
            f"batches of {of['batch_size']} x {of['sequence_length']}, torch {of['torch_version']}, "
            f"transformers {of['transformers_version']}",
        }
        if row not in rows:
            rows.append(row)
    return rows


def load_figures(files: Files, captions: Path, models: list[str]) -> list[Figure]:
    """The figures of a study.

    Args:
        captions: folder of their captions.
    """
    return [load_figure(path, captions, models, files.root) for path in files.figures]


def load_figure(path: str, captions: Path, models: list[str], root: Path) -> Figure:
    """A figure by the path of its PNG; its caption is that of its name without the model.

    Raises:
        UserError: the file is not a whole PNG.
    """
    name = Path(path).stem
    model = next((model for model in models if name.endswith(f"_{model}")), "")
    kind = name.removesuffix(f"_{model}") if model else name
    # Captions are shared with `snakemake --report`, which offers them the job as `snakemake`.
    text = (captions / f"{kind}.rst").read_text(encoding="utf-8")
    caption = Template(text).render(snakemake={"wildcards": {"model": model}})
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
