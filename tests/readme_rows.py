"""Take what README.md shows from a finished default study: the figure, and the rows of the tables behind it.

    snakemake --cores 8 && python tests/readme_rows.py

tests/workflow/test_readme.py checks the sentences of README.md against these rows, and these rows against a default
study.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from layerscope.io.tables import read_csv

PROJECT = Path(__file__).parents[1]
TABLE, FIGURE = PROJECT / "docs/r_across_models.csv", PROJECT / "docs/r_across_models.png"
SHOWN = {("r", "median"), ("r", "fraction_positive"), ("r_given_frequency", "median")}
COLUMNS = ["model", "layer", "measure", "statistic", "value", "null_low", "null_high"]
DIGITS = 4


def readme_rows(results: Path) -> pd.DataFrame:
    """The rows of evidence.csv that README.md speaks of."""
    table = read_csv(results / "token_length/evidence.csv")
    shown = [pair in SHOWN for pair in zip(table["measure"], table["statistic"], strict=True)]
    return table.loc[shown, COLUMNS].round(DIGITS).reset_index(drop=True)


def figure_of(results: Path) -> Path:
    return results / "token_length/figures/r_across_models.png"


def check_rows(results: Path) -> None:
    """Compare the rows in the repository with those of a default study, of the models that ``results`` hold.

    Other processors give other last digits, by which a neuron of 512 may count as positive or not.
    """
    found, kept = readme_rows(results), pd.read_csv(TABLE)
    kept = kept[kept["model"].isin(found["model"].unique())].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, found, rtol=0, atol=0.003)


def check_figure(results: Path) -> None:
    """Compare the figure in the repository with that of a default study; a line may move by a part of a pixel."""
    drawn, shown = (Image.open(path).convert("L") for path in (figure_of(results), FIGURE))
    assert drawn.size == shown.size, "draw docs/r_across_models.png anew: python tests/readme_rows.py"
    assert np.abs(np.asarray(drawn, dtype=int) - np.asarray(shown, dtype=int)).mean() < 0.5


def take(results: Path) -> None:
    readme_rows(results).to_csv(TABLE, index=False)
    shutil.copyfile(figure_of(results), FIGURE)


if __name__ == "__main__":
    take(PROJECT / "results")
