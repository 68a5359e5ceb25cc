"""The study's part of the report."""

from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.report.section import Files, Section, Summary, run_rows
from layerscope.report.tables import Table, listed
from layerscope.studies.token_similarity.vectors import FORMAT, PLACE

HEADINGS = {
    "model": "model",
    "layer": "layer",
    "token": "token",
    "cosine_abs_mean": "mean |cosine|",
    "cosine_std": "standard deviation of cosines",
    "centred_abs_mean": "mean |cosine|, centred",
    "centred_std": "standard deviation, centred",
    "variance_q": "variance of Q",
    "variance_k": "variance of K",
    "variance_v": "variance of V",
}


def section(files: Files) -> Section:
    """The study's part, from its table and figures."""
    table = files.table("layers")
    of_models = {str(model): rows for model, rows in table.groupby("model", sort=False)}
    runs = run_rows(files.runs, {FORMAT: PLACE})
    trained = [run.model for run in runs if run.weights == "trained"]
    return Section(
        name="token_similarity",
        title="Token similarity",
        question="How similar are the dimensions of a token's query, key and value vectors over many sentences, and "
        "how does that change with depth?",
        headline=headline({model: of_models[model] for model in files.named_first(trained)}),
        findings=[
            "In the first layer the vectors of a fixed token differ only by position, if at all. So its uncentred "
            "cosines there say nothing about the contexts.",
            *(sentence for model, rows in of_models.items() for sentence in notes(model, rows)),
        ],
        figures=files.load_figures(Path(__file__).parent / "captions"),
        downloads=files.downloads({"layers": "one row per model, layer, token and block"}),
        runs=runs,
        facts={
            model: {"layers": f"{rows['layer'].nunique()}", "sentences": f"{rows['sentences'].iloc[0]}"}
            for model, rows in of_models.items()
        },
        layers=Table.of(_over_blocks(table), HEADINGS),
        summary=Summary.of({model: numbers(rows) for model, rows in of_models.items()}),
    )


def headline(of_models: dict[str, pd.DataFrame]) -> str:
    """How the similarity of the target's dimensions changes in ``of_models``: model → its rows of layers.csv."""
    if not of_models:
        return "No model is trained, so there is nothing to say of training."
    found = [
        f"{_first_to_last(rows[rows['token'] == 'target'], 'cosine_abs_mean', 2, ' to ')} in {model}"
        for model, rows in of_models.items()
    ]
    return (
        "From the first layer to the last, the mean absolute cosine between dimensions of the target's Q, K and V goes "
        f"from {listed(found)}."
    )


def _over_blocks(table: pd.DataFrame) -> pd.DataFrame:
    """layers.csv, averaged over the six blocks."""
    keys = ["model", "layer", "token"]
    return table.groupby(keys, sort=False)[list(HEADINGS)[3:]].mean().reset_index()


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers of one model, from its rows of layers.csv; cosines are averaged over the six blocks."""
    target, other = (rows[rows["token"] == token] for token in ("target", "non_target"))
    null, centred_null = target["null_std"].iloc[0], target["centred_null_std"].iloc[0]
    return {
        "sentences": str(target["sentences"].iloc[0]),
        "mean absolute cosine of the target, first → last layer": _first_to_last(target, "cosine_abs_mean", 2),
        "mean absolute cosine of the non-target, first → last layer": _first_to_last(other, "cosine_abs_mean", 2),
        "standard deviation of the target's centred cosines, first → last layer": _first_to_last(
            target, "centred_std", 3
        ),
        "the same for independent values (uncentred)": f"{centred_null:.3f} ({null:.3f})",
    }


def _first_to_last(rows: pd.DataFrame, column: str, digits: int, to: str = " → ") -> str:
    means = rows.groupby("layer")[column].mean()
    ends = ("undefined" if np.isnan(mean) else f"{mean:.{digits}f}" for mean in (means.iloc[0], means.iloc[-1]))
    return to.join(ends)


def notes(model: str, rows: pd.DataFrame) -> list[str]:
    """What one has to know to read the numbers of a model."""
    target = rows[rows["token"] == "target"]
    pieces, first = int(target["target_pieces"].max()), target[target["layer"] == target["layer"].min()]
    sentences = []
    if first["centred_std"].isna().all():
        sentences.append(f"{model}: nothing varies in the first layer, so centred cosines are undefined there.")
    if pieces > 1:
        sentences.append(f"{model}: the target is split into up to {pieces} tokens; the last one represents it.")
    return sentences
