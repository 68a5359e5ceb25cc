"""Writes the report: one template, all that it shows within the page, all text escaped."""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined

from layerscope import __version__
from layerscope.io.content_policy import source_of
from layerscope.io.files import whole_file
from layerscope.report.claims import ClaimRows, matrices, tally
from layerscope.report.cost import cost
from layerscope.report.revisions import sentences, summed_up
from layerscope.report.section import Run, Section
from layerscope.report.tables import Download, Table, listed
from layerscope.stats.claims import FEWEST
from layerscope.studies.series import Series

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
    all_claims: Download | None,
    sections: list[Section],
    settings: Settings,
    root: Path,
    explorer: str | None = None,
    kept: Table | None = None,
    series: Sequence[Series] = (),
) -> None:
    """Write the page: all text is escaped, and nothing is loaded from elsewhere.

    Args:
        all_claims: their table, to save.
        settings: the ``sampling`` and ``extraction`` sections of the config.
        root: folder of the workflow.
        explorer: path of the explorer's page, from the report.
        kept: the sites that the config key ``activations`` keeps.
        series: revisions of one model.
    """
    environment = Environment(
        loader=PackageLoader("layerscope", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = environment.get_template("sort.js").render()
    results = Path(output).parent
    runs = list(dict.fromkeys(run for section in sections for run in section.runs))
    models = [figure for section in sections for figure in section.figures if not figure.of_sample]
    samples = [figure for section in sections for figure in section.figures if figure.of_sample]
    page = environment.get_template("page.html").render(
        abstract=[
            opening(runs, sections, settings, series),
            *(section.headline for section in sections[:1]),
            tally(claims),
        ],
        models=models_table(runs, sections, claims),
        pairs=any("," in verdict.models for claim in claims if claim.about == "model" for verdict in claim.verdicts),
        revisions=sentences(series),
        sections=sections,
        headline=models[0] if models else None,
        numbers={figure.name: number for number, figure in enumerate([*models, *samples], start=1)},
        samples=samples,
        of_study={
            section.name: matrices([c for c in claims if c.study == section.name and c.about == "model"])
            for section in sections
        },
        all_claims=all_claims,
        of_sample=matrices([claim for claim in claims if claim.about == "sample"]),
        runs=runs,
        run_columns=[field.name for field in fields(Run)],
        cost=cost(results / "logs"),
        explorer=explorer,
        kept=kept,
        fewest=FEWEST,
        settings=settings,
        versions={"layerscope": f"{__version__} (commit {git_commit(root)})", "Python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        script_source=source_of(script),
    )
    with whole_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def opening(runs: list[Run], sections: list[Section], settings: Settings, series: Sequence[Series] = ()) -> str:
    """What was run, in one sentence."""
    models = dict.fromkeys(run.model for run in runs)
    trained = list(dict.fromkeys(run.model for run in runs if run.weights == "trained"))
    of_controls = len(models) - len(trained)
    controls = f" and {of_controls} untrained control{'s' * (of_controls > 1)}" if of_controls else ""
    named = summed_up(trained, series)
    sampling = settings["sampling"]
    tokens = sampling["sequences"] * sampling["sequence_length"]
    return (
        f"Activations of {listed(named) if named else 'no trained model'}{controls} were measured over "
        f"{tokens:,} tokens ({sampling['sequences']:,} sequences of {sampling['sequence_length']:,}), in "
        f"{len(sections)} {'study' if len(sections) == 1 else 'studies'}."
    )


def models_table(runs: list[Run], sections: list[Section], claims: list[ClaimRows]) -> Table:
    """A row per model: what was measured of it in any study, and its verdicts, but for those on pairs of models."""
    facts: dict[str, dict[str, str]] = {run.model: {"weights": run.weights, "device": run.device} for run in runs}
    for section in sections:
        for model, of in section.facts.items():
            facts.setdefault(model, {}).update(of)
    verdicts = [verdict for claim in claims if claim.about == "model" for verdict in claim.verdicts]
    columns = list(dict.fromkeys(column for of in facts.values() for column in of))
    for kind in ("supported", "not supported", "undetermined") if verdicts else ():
        columns.append(f"claims {kind}")
        for model, of in facts.items():
            of[columns[-1]] = str(sum(v.models == model and v.verdict == kind for v in verdicts))
    return Table(["model", *columns], [[model, *(of.get(c, "") for c in columns)] for model, of in facts.items()])
