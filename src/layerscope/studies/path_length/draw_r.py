"""Figure of the correlations with the residual stream's path length."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from layerscope.plotting import (
    GREY,
    TWO_COLUMNS,
    Entry,
    figure,
    height_of_models,
    layer_axis,
    legend_below,
    panels_of_models,
)
from layerscope.stats.claims import FEWEST, Resamples
from layerscope.studies.path_length.draw import COLOURS, MARKERS, NAMES

KINDS = {"pearson": "r", "spearman": "rho"}  # column of layers.csv → statistic of the resamples
SUFFIXES = {"all": "_all", "without_first": ""}
STYLES = {"all": (":", 1.6), "without_first": ("-", 1.1)}  # line and its width
LABELS = [f"{kind.capitalize()}'s r with the path\nof the residual stream" for kind in KINDS]


def draw_r(outputs: list[str], layers: pd.DataFrame, resamples: dict[str, pd.DataFrame]) -> None:
    """Correlation of the path lengths of attention and MLP with that of the residual stream, per layer.

    Pearson's r above, Spearman's r below; with and without the first token of each sequence.

    Args:
        layers: from :func:`path_length.summarize_layers.layers_table`.
        resamples: model → table of :func:`path_length.jackknife.jackknife_paths`.
    """
    with figure(outputs, TWO_COLUMNS, height_of_models(resamples, 2, 1.5)) as drawn:
        for model, panels in panels_of_models(drawn, resamples, LABELS):
            rows, of_model = layers[layers["model"] == model], Resamples(resamples[model])
            for ax, (kind, statistic) in zip(panels, KINDS.items(), strict=True):
                ax.axhline(0, color=GREY, linewidth=0.6)
                for name in ("attn", "mlp"):
                    for token_filter, suffix in SUFFIXES.items():
                        of, name_of = rows[rows["token_filter"] == token_filter], f"{statistic}_{name}{suffix}"
                        r = of[f"r_{kind}_{name}"]
                        half_width = of_model.half_width(of_model.of("jackknife", name_of)[0], name_of)
                        low, high = np.clip([r - half_width, r + half_width], -1, 1)
                        ax.fill_between(of["layer"], low, high, color=COLOURS[name], alpha=0.25, linewidth=0)
                        line, width = STYLES[token_filter]
                        marker = MARKERS[name] if token_filter == "without_first" else ""
                        ax.plot(of["layer"], r, line, color=COLOURS[name], linewidth=width, marker=marker)
                ax.set_ylim(-1.05, 1.05)
                layer_axis(ax, len(of))
            panels[0].set_title(f"{model}{_few(of_model.clusters['r_mlp'])}")
            panels[1].set_title(_few(of_model.clusters["rho_mlp"]))
        entries: list[Entry] = [
            (Line2D([], [], color=COLOURS[name], marker=MARKERS[name]), NAMES[name]) for name in ("attn", "mlp")
        ]
        entries += [
            (Line2D([], [], color=GREY, linestyle=":", linewidth=1.6), "with the first token of each sequence"),
            (Patch(color=GREY, alpha=0.5, linewidth=0), "95% interval for other text"),
        ]
        legend_below(drawn, entries)


def _few(clusters: int) -> str:
    return "" if clusters >= FEWEST else f" (fewer than {FEWEST} clusters:\ndo not trust the intervals)"
