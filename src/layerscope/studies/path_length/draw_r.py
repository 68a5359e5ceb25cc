"""Figure of the correlations with the residual stream's path length."""

import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from layerscope.plotting import BLUE, GREY, VERMILION, figure
from layerscope.stats.claims import FEWEST, Resamples
from layerscope.studies.path_length.draw import FILTERS, NAMES

KINDS = {"pearson": "r", "spearman": "rho"}  # column of layers.csv → statistic of the resamples
SUFFIXES = {"all": "_all", "without_first": ""}
COLOURS = {"all": VERMILION, "without_first": BLUE}


def draw_r(outputs: list[str], model: str, layers: pd.DataFrame, resamples: pd.DataFrame) -> None:
    """Correlation of the path lengths of attention and MLP with that of the residual stream, per layer.

    Pearson's r above, Spearman's r below; with and without the first token of each sequence.

    Args:
        layers: from :func:`path_length.summarize_layers.layers_table`.
        resamples: of the model, from :func:`path_length.jackknife.jackknife_paths`.
    """
    rows, drawn = layers[layers["model"] == model], Resamples(resamples)
    tokens, stored, documents = (rows[name].max() for name in ("tokens", "tokens_stored", "documents"))
    with figure(outputs, 8.2, 5.8) as shown:
        panels = shown.subplots(2, 2, sharex=True, sharey=True)
        for i, (kind, statistic) in enumerate(KINDS.items()):
            for j, name in enumerate(("attn", "mlp")):
                ax = panels[i, j]
                ax.axhline(0, color=GREY, linewidth=0.8)
                for token_filter, suffix in SUFFIXES.items():
                    of, colour = rows[rows["token_filter"] == token_filter], COLOURS[token_filter]
                    r, name_of = of[f"r_{kind}_{name}"], f"{statistic}_{name}{suffix}"
                    half_width = drawn.half_width(drawn.of("jackknife", name_of)[0], name_of)
                    low, high = np.clip([r - half_width, r + half_width], -1, 1)
                    ax.fill_between(of["layer"], low, high, color=colour, alpha=0.3, linewidth=0)
                    # The dashed line is drawn last, so that both curves are seen where they agree.
                    style = "-" if token_filter == "all" else (0, (4, 2))
                    ax.plot(of["layer"], r, color=colour, linestyle=style, label=FILTERS[token_filter])
                ax.set_ylim(-1.05, 1.05)
                ax.xaxis.set_major_locator(MaxNLocator(integer=True))
                ax.set_title(f"{NAMES[name]} and residual stream")
            panels[i, 0].set_ylabel(f"{kind.capitalize()}'s r\nof path lengths over tokens")
        for ax in panels[1]:
            ax.set_xlabel("layer")
        title = f"{model}: n = {tokens:,} tokens of {documents:,} documents{_few(drawn.clusters['r_mlp'])}"
        if stored < tokens:
            clusters = drawn.clusters["rho_mlp"]
            title += f"\nSpearman's r: {stored:,} tokens in {clusters} clusters of documents{_few(clusters)}"
        shown.suptitle(title, fontsize=9)
        handles = panels[0, 0].get_legend_handles_labels()[0]
        handles.append(Patch(color=GREY, alpha=0.6, linewidth=0, label="95% interval (jackknife over documents)"))
        shown.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=3)


def _few(clusters: int) -> str:
    return "" if clusters >= FEWEST else f" (fewer than {FEWEST}: do not trust the intervals)"
