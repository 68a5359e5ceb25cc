"""The figure of the matrix of cosines of one layer."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from scipy.cluster.hierarchy import leaves_list, linkage

from layerscope.plotting import letter
from layerscope.studies.series import Series
from layerscope.studies.token_similarity.cosines import unit_columns
from layerscope.studies.token_similarity.draw import TOKEN_NAMES
from layerscope.studies.token_similarity.sentences import TOKENS
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.training_axis import figure_of_parts, not_in

PIXELS = 64  # dimensions shown of each of Q, K and V
# In steps of 0.05: fewer colours make files smaller, and can be looked up.
COLOURS = matplotlib.colormaps["RdBu_r"].resampled(20)
LABEL = "cosine between centred dimensions"
LIMIT = 0.5  # beyond which the colours of cosines do not differ


def draw_matrix(outputs: list[str], layer: int, vectors: dict[str, str], series: Sequence[Series] = ()) -> None:
    """The matrix of centred cosines of one layer, for evenly spaced dimensions in clustered order; a row per model.

    Of a series, some revisions are shown from left to right, target above non-target.

    Args:
        vectors: model → path of its file of vectors.
    """
    models = not_in(series, list(vectors))
    with figure_of_parts(outputs, series, 3.1 * len(models) + 0.1 * bool(models), 2.8) as parts:
        for axis, part in parts.series:
            some = axis.some()
            panels = part.subplots(len(TOKENS), max(3, len(some)), squeeze=False)
            for ax in panels[:, len(some) :].ravel():
                ax.set_visible(False)
            for column, model in zip(panels.T, some, strict=False):
                by_token, _ = read_vectors(vectors[model], layer)
                for ax, (token, of_token) in zip(column, by_token.items(), strict=True):
                    image, shown = _matrix(ax, of_token)
                    ax.set_title(axis.named(model))
                    if model == some[0]:
                        ax.set_ylabel(f"{TOKEN_NAMES[token]}, layer {layer}\n{shown}")
            shown = "" if len(some) == len(axis.models) else f" ({len(some)} of {len(axis.models)} revisions)"
            part.supxlabel(f"{axis.label}, from left to right{shown}", size="medium")
            letter(panels[:, : len(some)].ravel(), parts.marks)
            part.colorbar(image, ax=panels, label=LABEL, shrink=0.8, extend="both")
        if not models:
            return
        panels = parts.rest.subplots(len(models), len(TOKENS), squeeze=False)
        for row, model in zip(panels, models, strict=True):
            by_token, _ = read_vectors(vectors[model], layer)
            for ax, (token, of_token) in zip(row, by_token.items(), strict=True):
                image, shown = _matrix(ax, of_token)
                ax.set_xlabel("dimensions, clustered within Q, K and V")
                ax.set_title(f"{model}, layer {layer}, {TOKEN_NAMES[token]}: {shown}")
        letter(panels.ravel(), parts.marks)
        parts.rest.colorbar(image, ax=panels, label=LABEL, shrink=0.8 / len(models), extend="both")


def _matrix(ax: Axes, of_token: dict[str, np.ndarray]) -> tuple[AxesImage, str]:
    """The matrix of Q, K and V of one token, and which dimensions it shows."""
    step = max(1, max(values.shape[1] // PIXELS for values in of_token.values()))
    parts = [clustered(unit_columns(values[:, ::step], centred=True)) for values in of_token.values()]
    columns = np.concatenate(parts, axis=1)
    image = ax.imshow(columns.T @ columns, cmap=COLOURS, vmin=-LIMIT, vmax=LIMIT, interpolation="none")
    borders = np.cumsum([0, *(part.shape[1] for part in parts)])
    for border in borders[1:-1]:
        ax.axhline(border - 0.5, color="black", linewidth=0.6)
        ax.axvline(border - 0.5, color="black", linewidth=0.6)
    middles = (borders[1:] + borders[:-1]) / 2
    ax.set_xticks(middles, ["Q", "K", "V"])
    ax.set_yticks(middles, ["Q", "K", "V"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image, "all dimensions" if step == 1 else f"1 in {step} dimensions"


def clustered(columns: np.ndarray) -> np.ndarray:
    """Unit columns in the order of an average-linkage clustering by their cosines.

    Args:
        columns: [sentences, dimensions]; those that never vary are NaN and come last.
    """
    constant = np.isnan(columns).any(axis=0)
    varying = columns[:, ~constant]
    order = leaves_list(linkage(varying.T, "average")) if varying.shape[1] > 1 else np.arange(varying.shape[1])
    return np.concatenate([varying[:, order], columns[:, constant]], axis=1)
