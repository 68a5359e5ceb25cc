"""Neurons of one model that a neuron of another follows: correlation over the same tokens, layer against layer."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.fft import dct

from layerscope.errors import UserError
from layerscope.extract.activation_shards import LayerReader
from layerscope.tables import read_table
from layerscope.token_length import SITE
from layerscope.token_length.groups import token_lengths

TOKENS_AT_ONCE = 2048


def match_layer(
    shards: list[str],
    neurons: list[str],
    other_shards: list[str],
    other_neurons: str,
    vocabulary: pd.DataFrame,
    other_layer: int,
    seed: int,
) -> pd.DataFrame:
    """For every neuron of a model, the one of a layer of another model that it correlates with most.

    What a correlation is worth shows beside a rotated layer: an orthogonal rotation keeps all that the layer knows, and
    how much its units vary together, but no unit is a neuron any more (Gurnee et al. 2024, "Universal neurons in GPT2
    language models").

    Args:
        shards: activation shards of the model, in order.
        neurons: tables of :func:`layerscope.token_length.measure.measure_layer` of its layers, in order.
        other_shards: activation shards of the other model, in order.
        other_neurons: the table of the other model's layer.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        other_layer: number of that layer.
        seed: of the rotation.

    Returns:
        A row a neuron of the model: ``layer``, ``neuron``, ``other_layer``, ``other_neuron``, ``r`` (Pearson, the
        largest) and ``r_rotated`` (the largest with a unit of the rotated layer). NaN, and -1 for ``other_neuron``, for
        a neuron that never varies.

    Raises:
        UserError: a shard is damaged or of another run, or the two models did not read the same tokens.
    """
    others = read_table(other_neurons)
    mean, std = others["mean"].to_numpy(np.float32), others["std"].to_numpy()
    rotation = Rotation(len(others), np.random.default_rng(seed))
    tables = []
    with LayerReader(other_shards, SITE, other_layer, [vocabulary]) as other:
        tokens = other.tokens()
        sample = token_lengths(vocabulary, tokens.input_ids)

        def centred() -> Iterator[np.ndarray]:
            return (rows - mean for rows in kept_rows(other, sample.keep))

        rotated_std = np.sqrt(sum(np.square(rotation(rows), dtype=np.float64).sum(axis=0) for rows in centred()))
        rotated_std /= np.sqrt(len(sample.lengths) - 1)
        for layer, path in enumerate(neurons):
            table = read_table(path)
            with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
                if not reader.tokens() == tokens:
                    raise UserError(
                        f"{shards[0]} and {other_shards[0]} hold different tokens; only models with one tokenizer and "
                        "one corpus can be compared neuron by neuron"
                    )
                covariance = np.zeros((reader.width, other.width))
                with np.errstate(divide="ignore"):
                    scale = (1 / table["std"]).replace(np.inf, np.nan).to_numpy(np.float32)
                for rows, others_rows in zip(kept_rows(reader, sample.keep), centred(), strict=True):
                    covariance += ((rows - table["mean"].to_numpy(np.float32)) * scale).T @ others_rows
            covariance /= len(sample.lengths) - 1
            with np.errstate(divide="ignore", invalid="ignore"):
                r, match = largest(covariance / std)
                r_rotated, _ = largest(rotation(covariance) / rotated_std)
            found = {"layer": layer, "neuron": table["neuron"], "other_layer": other_layer, "other_neuron": match}
            tables.append(pd.DataFrame(found | {"r": r, "r_rotated": r_rotated}))
    return pd.concat(tables, ignore_index=True)


def kept_rows(reader: LayerReader, keep: np.ndarray) -> Iterator[np.ndarray]:
    """Activations of the tokens that take part, float32 [tokens, neurons], some thousand tokens at once.

    Args:
        keep: [tokens], bool.
    """
    for start in range(0, len(keep), TOKENS_AT_ONCE):
        stop = min(start + TOKENS_AT_ONCE, len(keep))
        yield reader.rows(start, stop)[keep[start:stop]]


def largest(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of each row [neurons, others], and where; NaN and -1 for a row of NaN."""
    where = np.where(np.isnan(r), -np.inf, r).argmax(axis=1)
    value = np.clip(r[np.arange(len(r)), where], -1, 1)
    return value, np.where(np.isnan(value), -1, where)


class Rotation:
    """A random orthogonal map of rows [..., width], by signs and cosine transforms: no matrix of width² is needed.

    Every unit of the result is a mixture of all neurons with weights of about the same size.
    """

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        self.signs = rng.choice(np.array([-1, 1], dtype=np.float32), (2, width))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        for signs in self.signs:
            rows = dct(rows * signs, norm="ortho", axis=-1)
        return rows
