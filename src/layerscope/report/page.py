"""Put the report together: data URIs for the figures, one template, everything escaped."""

import base64
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from layerscope import __version__
from layerscope.files import whole_file

PACKAGES = ("snakemake", "torch", "transformers", "datasets", "numpy", "scipy", "pandas", "h5py")


@dataclass(frozen=True)
class Figure:
    title: str
    caption: str
    image: str  # data URI
    vector: str  # link to the PDF


@dataclass(frozen=True)
class Section:
    """One study's part of the report."""

    title: str
    question: str
    findings: list[str]
    figures: list[Figure]
    tables: dict[str, str]  # link → what it holds


def load_figure(path: str, captions: dict[str, str], models: list[str], root: Path) -> Figure:
    """A figure by the path of its PNG; its caption is that of its name without the model."""
    name = Path(path).stem
    model = next((model for model in models if name.endswith(f"_{model}")), "")
    kind = name.removesuffix(f"_{model}") if model else name
    # Captions are shared with `snakemake --report`, which offers them the job as `snakemake`.
    caption = Template(captions[kind]).render(snakemake={"wildcards": {"model": model}})
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return Figure(
        title=kind.replace("_", " ").capitalize() + (f": {model}" if model else ""),
        caption=" ".join(caption.split()),
        image=f"data:image/png;base64,{data}",
        vector=str(Path(path).with_suffix(".pdf").relative_to(root)),
    )


def run_table(shards: list[str]) -> pd.DataFrame:
    """What was run, from the attributes of one activation shard a model: a row a model."""
    rows = []
    for shard in shards:
        with h5py.File(shard) as file:
            of = {key: str(value) for key, value in file.attrs.items()}
        rows.append(
            {
                "model": of["model"],
                "source": of["model_source"],
                "commit": of["model_commit"],
                "corpus": f"{of['corpus']} ({of['corpus_source']}, {of['corpus_commit']})",
                "tokenizer": f"{of['tokenizer']} ({of['tokenizer_source']}, {of['tokenizer_commit']})",
                "computed": f"{of['dtype']} on {of['device']}, attention {of['attention_implementation']}, "
                f"batches of {of['batch_size']} x {of['sequence_length']}, torch {of['torch_version']}, "
                f"transformers {of['transformers_version']}",
            }
        )
    return pd.DataFrame(rows).drop_duplicates()


def git_commit(folder: Path) -> str:
    """The commit of the workflow, marked where files were changed; "unknown" outside a repository."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def write_report(
    output: str, sections: list[Section], shards: list[str], settings: dict[str, Any], root: Path
) -> None:
    """Write the page; all text is escaped, nothing is loaded from elsewhere.

    Args:
        shards: one activation shard of each sample.
        settings: the ``sampling``, ``extraction`` and ``studies`` sections of the config.
        root: folder of the workflow.
    """
    environment = Environment(
        loader=PackageLoader("layerscope", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sampling = settings["sampling"]
    page = environment.get_template("page.html").render(
        sections=sections,
        runs=run_table(shards).to_dict("records"),
        tokens=sampling["sequences"] * sampling["sequence_length"],
        settings=settings,
        versions={"layerscope": f"{__version__} (commit {git_commit(root)})", "Python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
    )
    with whole_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
