"""Put the report together: data URIs for the figures, one template, everything escaped."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from layerscope import __version__
from layerscope.attributes import read_root_attributes
from layerscope.extract import activation_shards
from layerscope.files import whole_file
from layerscope.path_length import shards as path_shards
from layerscope.report.claims import ClaimRows
from layerscope.report.section import Section
from layerscope.token_similarity import vectors

PLACES = {module.FORMAT: module.PLACE for module in (activation_shards, path_shards, vectors)}
PACKAGES = ("snakemake", "torch", "transformers", "datasets", "numpy", "scipy", "pandas", "h5py")


def run_table(files: list[str]) -> list[dict[str, str]]:
    """What was run, from the attributes of one HDF5 file of each model and study: a row for each that differs.

    Raises:
        UserError: a file is damaged, or not that of its place.
    """
    rows = []
    for path in files:
        of = {key: str(value) for key, value in read_root_attributes(path, PLACES).items()}
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
    output: str,
    claims: list[ClaimRows],
    sections: list[Section],
    files: list[str],
    settings: dict[str, Any],
    root: Path,
) -> None:
    """Write the page; all text is escaped, nothing is loaded from elsewhere.

    Args:
        files: one HDF5 file of each model and study.
        settings: the ``sampling``, ``extraction`` and ``studies`` sections of the config.
        root: folder of the workflow.
    """
    environment = Environment(
        loader=PackageLoader("layerscope", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sampling = settings["sampling"]
    page = environment.get_template("page.html").render(
        claims=claims,
        sections=sections,
        runs=run_table(files),
        tokens=sampling["sequences"] * sampling["sequence_length"],
        settings=settings,
        versions={"layerscope": f"{__version__} (commit {git_commit(root)})", "Python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
    )
    with whole_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
