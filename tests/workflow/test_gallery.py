"""docs/gallery.md shows every figure of the default run, and docs/reading-a-report.md quotes its claims as they are."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from layerscope.studies.registry import STUDIES

CONDITIONAL = {"r_properties"}  # drawn only if the study names properties
CELLS = r"\| (neo-[\w-]+) \| ([a-z ]+) \| (\S+ \[\S+ \S+\]) \| (\S+ to \S+) \|"


def test_gallery_shows_every_figure(project: Path) -> None:
    page = (project / "docs/gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"^!\[(\w+)\]\(gallery/(\w+)\.png\)$", page, re.MULTILINE)
    figures = [figure.name for study in STUDIES.values() for figure in study.figures]
    assert [name for name, _ in shown] == [file for _, file in shown]
    assert {name for name, _ in shown} == set(figures) - CONDITIONAL and len(shown) == len(set(shown))
    pictures = list((project / "docs/gallery").iterdir())
    assert {path.name for path in pictures} == {f"{name}.png" for name, _ in shown}
    assert sum(path.stat().st_size for path in pictures) < 1_500_000


def quoted(page: str, statement: str) -> dict[str, tuple[str, list[float]]]:
    """Model → verdict and numbers, in the first table after a statement."""
    found = {}
    for line in page.partition(statement)[2].partition("\n\n|")[2].partition("\n\n")[0].splitlines():
        if cells := re.match(CELLS, line):
            model, verdict, effect, band = cells.groups()
            numbers = re.findall(r"-?[\d.]+", f"{effect} {band}".replace("−", "-"))
            found[model] = verdict, list(map(float, numbers))
    return found


@pytest.mark.parametrize(
    ("statement", "claim", "models"),
    [
        ("positively with token length.**", "first_layer_positive", ["neo-2m", "neo-8m", "neo-2m-random"]),
        ("the same for *new token types*", "first_layer_positive_types", ["neo-2m"]),
    ],
)
def test_report_that_is_read_is_that_of_the_default_study(
    project: Path, default_results: Path, statement: str, claim: str, models: list[str]
) -> None:
    rows = quoted((project / "docs/reading-a-report.md").read_text(encoding="utf-8"), statement)
    assert list(rows) == models
    claims = pd.read_csv(default_results / "claims.csv").set_index(["claim", "models"])
    for model, (verdict, numbers) in rows.items():
        row = claims.loc[(claim, model)]
        assert verdict == row["verdict"]
        np.testing.assert_allclose(
            numbers, row[["effect", "low", "high", "null_low", "null_high"]].tolist(), atol=0.0011
        )
