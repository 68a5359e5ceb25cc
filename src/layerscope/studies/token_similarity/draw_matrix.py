"""The figure of the matrix of cosines of one layer."""

import matplotlib
import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from layerscope.plotting import TWO_COLUMNS, figure, letter
from layerscope.studies.token_similarity.cosines import unit_columns
from layerscope.studies.token_similarity.draw import TOKEN_NAMES
from layerscope.studies.token_similarity.sentences import TOKENS
from layerscope.studies.token_similarity.vectors import read_vectors

PIXELS = 64  # dimensions shown of each of Q, K and V
# In steps of 0.05: fewer colours make files smaller, and can be looked up.
COLOURS = matplotlib.colormaps["RdBu_r"].resampled(20)
LIMIT = 0.5  # beyond which the colours of cosines do not differ


def draw_matrix(outputs: list[str], layer: int, vectors: dict[str, str]) -> None:
    """The matrix of centred cosines of one layer, for evenly spaced dimensions in clustered order; a row per model.

    Args:
        vectors: model → path of its file of vectors.
    """
    with figure(outputs, TWO_COLUMNS, 3.1 * len(vectors) + 0.1) as drawn:
        panels = drawn.subplots(len(vectors), len(TOKENS), squeeze=False)
        for row, (model, path) in zip(panels, vectors.items(), strict=True):
            by_token, _ = read_vectors(path, layer)
            for ax, (token, of_token) in zip(row, by_token.items(), strict=True):
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
                ax.set_xlabel("dimensions, clustered within Q, K and V")
                ax.spines[:].set_visible(False)
                shown = "all dimensions" if step == 1 else f"1 in {step} dimensions"
                ax.set_title(f"{model}, layer {layer}, {TOKEN_NAMES[token]}: {shown}")
        letter(panels.ravel())
        drawn.colorbar(
            image, ax=panels, label="cosine between centred dimensions", shrink=0.8 / len(vectors), extend="both"
        )


def clustered(columns: np.ndarray) -> np.ndarray:
    """Unit columns in the order of an average-linkage clustering by their cosines.

    Args:
        columns: [sentences, dimensions]; those that never vary are NaN and come last.
    """
    constant = np.isnan(columns).any(axis=0)
    varying = columns[:, ~constant]
    order = leaves_list(linkage(varying.T, "average")) if varying.shape[1] > 1 else np.arange(varying.shape[1])
    return np.concatenate([varying[:, order], columns[:, constant]], axis=1)
