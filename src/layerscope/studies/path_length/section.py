"""The study's part of the report."""

from pathlib import Path

import pandas as pd

from layerscope.io.tables import read_csv
from layerscope.report.section import Files, Section, load_figures, run_rows
from layerscope.studies.path_length.path_shards import FORMAT, PLACE


def section(files: Files) -> Section:
    """The study's part, from its table and figures."""
    table = read_csv(files.table("layers"))
    models = list(table["model"].unique())
    tables = {files.link(files.table("layers")): "a row a model, layer and token filter"}
    return Section(
        title="Path length",
        question="How far do attention, MLP and the residual stream move from layer to layer, and which of the two "
        "does the residual stream follow?",
        findings=[
            *(sentence for model in models for sentence in findings(model, table[table["model"] == model])),
            "The residual stream moves by the sum of attention's and the MLP's output. Partly by this identity its "
            "path goes with that of the two whose step varies more over tokens, often the larger.",
        ],
        figures=load_figures(files, Path(__file__).parent / "captions", models),
        tables=tables,
        runs=run_rows(files.runs, {FORMAT: PLACE}),
    )


def findings(model: str, rows: pd.DataFrame) -> list[str]:
    """Sentences with numbers from one model's rows of layers.csv."""
    every = rows[rows["token_filter"] == "all"].set_index("layer")
    without = rows[rows["token_filter"] == "without_first"].set_index("layer")
    largest = without["length_resid"].idxmax()
    r = without[["r_pearson_attn", "r_pearson_mlp"]].median()
    most = (every["r_pearson_mlp"] - without["r_pearson_mlp"]).abs().idxmax()
    cosine = without["cosine_attn_mlp"]
    tokens, documents = int(every["tokens"].iloc[0]), int(every["documents"].iloc[0])
    return [
        f"{model}: {tokens:,} tokens of {documents} documents take part in all statistics; the first of each sequence, "
        "where it is left out, does not. Intervals rest on the documents, left out in turn.",
        f"{model}: the residual stream takes its largest step in layer {largest} of 0 to {without.index.max()} "
        f"(mean {without['length_resid'].max():.3g}; median over layers {without['length_resid'].median():.3g}).",
        f"{model}: without the first token of each sequence, the path length of the residual stream correlates with "
        f"that of attention at a median r of {r['r_pearson_attn']:+.2f} over layers, with that of the MLP at "
        f"{r['r_pearson_mlp']:+.2f}.",
        f"{model}: the first token matters most for the MLP in layer {most}: Pearson r is "
        f"{every['r_pearson_mlp'][most]:+.2f} with it and {without['r_pearson_mlp'][most]:+.2f} without, Spearman r "
        f"{every['r_spearman_mlp'][most]:+.2f} and {without['r_spearman_mlp'][most]:+.2f}.",
        f"{model}: the cosine between attention's and the MLP's output lies between {cosine.min():+.2f} and "
        f"{cosine.max():+.2f} in the mean of a layer, with a median of {cosine.median():+.2f}.",
    ]
