"""Writes the report: one template, figures as data URIs, all text escaped."""

import platform
import subprocess
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined

from layerscope import __version__
from layerscope.io.files import whole_file
from layerscope.report.claims import ClaimRows
from layerscope.report.section import Run, Section
from layerscope.stats.claims import FEWEST

PACKAGES = ("snakemake", "torch", "transformers", "datasets", "numpy", "scipy", "pandas", "h5py")


class Settings(TypedDict):
    """The settings that the page shows."""

    sampling: dict[str, int]
    extraction: dict[str, str | int]


def git_commit(folder: Path) -> str:
    """The commit of the workflow, marked as dirty if files were changed; "unknown" outside a repository."""
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
    settings: Settings,
    root: Path,
) -> None:
    """Write the page: all text is escaped, and nothing is loaded from elsewhere.

    Args:
        settings: the ``sampling`` and ``extraction`` sections of the config.
        root: folder of the workflow.
    """
    environment = Environment(
        loader=PackageLoader("layerscope", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sampling = settings["sampling"]
    page = environment.get_template("page.html").render(
        claims=claims,
        sections=sections,
        runs=list(dict.fromkeys(run for section in sections for run in section.runs)),
        run_columns=[field.name for field in fields(Run)],
        fewest=FEWEST,
        tokens=sampling["sequences"] * sampling["sequence_length"],
        settings=settings,
        versions={"layerscope": f"{__version__} (commit {git_commit(root)})", "Python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
    )
    with whole_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
