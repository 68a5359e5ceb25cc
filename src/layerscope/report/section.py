"""A study's part of the report."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from jinja2 import Template


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
    """A figure by the path of its PNG; its caption is that of its name without the model."""
    name = Path(path).stem
    model = next((model for model in models if name.endswith(f"_{model}")), "")
    kind = name.removesuffix(f"_{model}") if model else name
    # Captions are shared with `snakemake --report`, which offers them the job as `snakemake`.
    caption = Template(captions[kind]).render(snakemake={"wildcards": {"model": model}})
    png = Path(path).read_bytes()
    return Figure(
        title=kind.replace("_", " ").capitalize() + (f": {model}" if model else ""),
        caption=" ".join(caption.split()),
        image=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        width=int.from_bytes(png[16:20]) // 2,  # the header's width
        vector=str(Path(path).with_suffix(".pdf").relative_to(root)),
    )
