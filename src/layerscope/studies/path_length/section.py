"""The study's part of the report."""

from pathlib import Path

import pandas as pd

from layerscope.io.tables import read_csv
from layerscope.report.section import Files, Section, Summary, load_figures, run_rows
from layerscope.studies.path_length.path_shards import FORMAT, PLACE


def section(files: Files) -> Section:
    """The study's part, from its table and figures."""
    table = read_csv(files.table("layers"))
    of_models = {str(model): rows for model, rows in table.groupby("model", sort=False)}
    return Section(
        title="Path length",
        question="How far do attention, MLP and the residual stream move from layer to layer, and which of the two "
        "does the residual stream follow?",
        findings=[
            "Unless stated otherwise, the first token of each sequence is excluded. r is the correlation over tokens "
            "of a path length with that of the residual stream. Intervals come from the jackknife over documents.",
            "The residual stream moves by the sum of the outputs of attention and MLP. By this identity alone, its "
            "path follows in part the step that varies more over tokens, often the larger one.",
        ],
        figures=load_figures(files, Path(__file__).parent / "captions"),
        tables={files.link(files.table("layers")): "one row per model, layer and token filter"},
        runs=run_rows(files.runs, {FORMAT: PLACE}),
        summary=Summary.of({model: numbers(rows) for model, rows in of_models.items()}),
    )


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
