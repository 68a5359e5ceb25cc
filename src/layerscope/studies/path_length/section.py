"""The study's part of the report."""

from pathlib import Path

import pandas as pd

from layerscope.report.section import Files, Section, Summary, run_rows
from layerscope.report.tables import Table, listed, with_minus
from layerscope.studies.path_length.path_shards import FORMAT, PLACE

HEADINGS = {
    "model": "model",
    "layer": "layer",
    "length_resid": "path of the residual stream",
    "length_attn": "path of attention",
    "length_mlp": "path of the MLP",
    "step_attn": "step of attention",
    "step_mlp": "step of the MLP",
    "r_pearson_attn": "Pearson's r of attention",
    "r_pearson_mlp": "Pearson's r of the MLP",
    "r_spearman_attn": "Spearman's r of attention",
    "r_spearman_mlp": "Spearman's r of the MLP",
    "cosine_attn_mlp": "cosine of the two outputs",
}


def section(files: Files) -> Section:
    """The study's part, from its table and figures."""
    table = files.table("layers")
    of_models = {str(model): rows for model, rows in table.groupby("model", sort=False)}
    runs = run_rows(files.runs, {FORMAT: PLACE})
    trained = [run.model for run in runs if run.weights == "trained"]
    return Section(
        name="path_length",
        title="Path length",
        question="How far do attention, MLP and the residual stream move from layer to layer, and which of the two "
        "does the residual stream follow?",
        headline=headline({model: of_models[model] for model in files.named_first(trained)}),
        findings=[
            "Unless stated otherwise, the first token of each sequence is excluded. r is the correlation over tokens "
            "of a path length with that of the residual stream. Intervals come from the jackknife over documents.",
            "The residual stream moves by the sum of the outputs of attention and MLP. By this identity alone, its "
            "path follows in part the step that varies more over tokens, often the larger one.",
        ],
        figures=files.load_figures(Path(__file__).parent / "captions"),
        downloads=files.downloads({"layers": "one row per model, layer and token filter"}),
        runs=runs,
        facts={model: _facts(rows) for model, rows in of_models.items()},
        layers=Table.of(table[table["token_filter"] == "without_first"], HEADINGS),
        summary=Summary.of({model: numbers(rows) for model, rows in of_models.items()}),
    )


def headline(of_models: dict[str, pd.DataFrame]) -> str:
    """Which of the two the residual stream follows in ``of_models``: model → its rows of layers.csv."""
    found = []
    for model, rows in of_models.items():
        r = rows[rows["token_filter"] == "without_first"][["r_pearson_attn", "r_pearson_mlp"]].median()
        mlp, attention = (with_minus(f"{r[f'r_pearson_{name}']:+z.2f}") for name in ("mlp", "attn"))
        found.append(f"{mlp} with the MLP's and {attention} with attention's in {model}")
    if not found:
        return "No model is trained, so there is nothing to say of training."
    return (
        "Over tokens, the path length of the residual stream correlates in the median layer at Pearson's r = "
        f"{listed(found)}."
    )


def _facts(rows: pd.DataFrame) -> dict[str, str]:
    every = rows[rows["token_filter"] == "all"]
    return {
        "layers": f"{len(every)}",
        "tokens": f"{every['tokens'].max():,}",
        "documents": f"{every['documents'].max():,}",
    }


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers of one model, from its rows of layers.csv."""
    every = rows[rows["token_filter"] == "all"].set_index("layer")
    without = rows[rows["token_filter"] == "without_first"].set_index("layer")
    length, cosine = without["length_resid"], without["cosine_attn_mlp"]
    r = without[["r_pearson_attn", "r_pearson_mlp"]].median()
    most = (every["r_pearson_mlp"] - without["r_pearson_mlp"]).abs().idxmax()
    return {
        "tokens, including the first of each sequence": f"{int(every['tokens'].iloc[0]):,}",
        "of these, stored, for Spearman's r": f"{int(every['tokens_stored'].iloc[0]):,}",
        "documents": f"{int(every['documents'].iloc[0]):,}",
        "layer with the longest path of the residual stream": f"{length.idxmax()} (of 0 to {without.index.max()})",
        "its mean path length in that layer (median over layers)": f"{length.max():.3g} ({length.median():.3g})",
        "Pearson's r of attention, median over layers": f"{r['r_pearson_attn']:+.2f}",
        "Pearson's r of the MLP, median over layers": f"{r['r_pearson_mlp']:+.2f}",
        "layer in which the first token changes the MLP's r most": str(most),
        "Pearson's r of the MLP there, without → with the first token": _change(most, without, every, "r_pearson_mlp"),
        "Spearman's r of the MLP there, without → with the first token": _change(
            most, without, every, "r_spearman_mlp"
        ),
        "mean cosine between the outputs of attention and MLP: median layer (range)": f"{cosine.median():+.2f} "
        f"({cosine.min():+.2f} to {cosine.max():+.2f})",
    }


def _change(layer: int, without: pd.DataFrame, every: pd.DataFrame, column: str) -> str:
    return f"{without.loc[layer, column]:+.2f} → {every.loc[layer, column]:+.2f}"
