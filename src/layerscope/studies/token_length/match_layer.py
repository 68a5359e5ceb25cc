"""For each neuron of a model, the neuron of another model that correlates most with it over the same tokens."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.io.errors import UserError
from layerscope.io.tables import read_table
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.document_runs import Runs, Sums, r_without
from layerscope.studies.token_length.match_columns import MEASURES, ROTATIONS, without
from layerscope.studies.token_length.rotation import Rotation
from layerscope.tokenize.vocabulary import takes_part

NEURONS_AT_ONCE = 256  # whose correlations are looked at


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

    The baseline is rotated layers: an orthogonal rotation preserves all the information in the layer, and how much its
    units vary together, but no unit is a neuron any more (Gurnee et al. 2024, "Universal neurons in GPT2 language
    models").

    The error of both is a jackknife over runs of documents. The best match stays that of all tokens: where a maximum
    is unique, its derivative is that of the value there (the envelope theorem).

    Args:
        shards: activation shards of the model, in order.
        neurons: tables of :func:`token_length.correlate_layer.correlate_layer` of its layers, in order.
        other_shards: activation shards of the other model, in order.
        other_neurons: the table of the other model's layer.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        other_layer: number of that layer.
        seed: of the rotations.

    Returns:
        One row per neuron of the model: ``layer``, ``neuron``, ``other_layer``, ``other_neuron``, ``r`` (Pearson, the
        largest) and ``r_rotated_{rotation}`` (the largest with a unit of the layer under each of ``ROTATIONS``
        rotations); of these, ``{measure}_without_{run}``, as float32, with each of the :class:`Runs` left out. NaN, and
        -1 for ``other_neuron``, for a neuron that never varies.

    Raises:
        UserError: a shard is damaged or of another run, or the two models did not read the same tokens.
    """
    others = read_table(other_neurons)
    rng = np.random.default_rng(seed)
    rotations = [Rotation(len(others), rng) for _ in range(ROTATIONS)]
    tables = []
    with LayerReader(other_shards, SITE, other_layer, [vocabulary]) as other:
        tokens = other.tokens()
        runs = Runs(tokens.document, takes_part(vocabulary, tokens.input_ids))
        mean = others["mean"].to_numpy(np.float32)

        def centred() -> Iterator[tuple[int, np.ndarray]]:
            return ((run, rows - mean) for run, rows in runs.rows(other))

        sums = [Sums.zeros(len(runs), other.width) for _ in MEASURES]
        for run, rows in centred():
            for of_units, units in zip(sums, (rows, *(rotation(rows) for rotation in rotations)), strict=True):
                of_units.add(run, units)
        for layer, path in enumerate(neurons):
            table = read_table(path)
            with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
                if not reader.tokens() == tokens:
                    raise UserError(
                        f"{shards[0]} and {other_shards[0]} hold different tokens; only models with one tokenizer and "
                        "one corpus can be compared neuron by neuron"
                    )
                with np.errstate(divide="ignore"):
                    scale = (1 / table["std"]).replace(np.inf, np.nan).to_numpy(np.float32)
                own = Sums.zeros(len(runs), reader.width)
                products = np.zeros((len(runs), reader.width, other.width), dtype=np.float32)
                for (run, rows), (_, others_rows) in zip(runs.rows(reader), centred(), strict=True):
                    rows = (rows - table["mean"].to_numpy(np.float32)) * scale
                    own.add(run, rows)
                    products[run] += rows.T @ others_rows
            parts = []
            for start in range(0, reader.width, NEURONS_AT_ONCE):
                block = slice(start, start + NEURONS_AT_ONCE)
                parts.append(best_matches(products[:, block], own.of(block), sums, runs.counts, rotations))
            found = pd.concat(parts, ignore_index=True)
            place = {"layer": layer, "neuron": table["neuron"], "other_layer": other_layer}
            tables.append(pd.concat([pd.DataFrame(place), found], axis=1))
    return pd.concat(tables, ignore_index=True)


def best_matches(
    products: np.ndarray, own: Sums, others: list[Sums], counts: np.ndarray, rotations: list[Rotation]
) -> pd.DataFrame:
    """Best correlations of some neurons with the units of another layer, as it is and rotated.

    Args:
        products: [runs, neurons, other neurons], sums over the tokens of each run.
        own: of the neurons, minus some value near their means.
        others: of the other layer's neurons, likewise, and of its units under each of the ``rotations``.
        counts: [runs], tokens.

    Returns:
        The columns of :func:`match_layer` from ``other_neuron`` on, one row per neuron.
    """
    (own_mean, own_variance), *of_units = ((of.mean(counts), of.variance(counts)) for of in (own, *others))
    covariance = products.sum(axis=0) / counts.sum() - np.outer(own_mean, of_units[0][0]).astype(np.float32)
    covariance /= np.sqrt(own_variance)[:, None].astype(np.float32)
    table: dict[str, np.ndarray] = {}
    for measure, units, (_, variance), rotation in zip(MEASURES, others, of_units, (None, *rotations), strict=True):
        values = rotation(covariance) if rotation else covariance
        with np.errstate(divide="ignore", invalid="ignore"):
            r, match = largest(values / np.sqrt(variance).astype(np.float32))
        if rotation:
            matched = np.einsum("rno,no->rn", products, rotation.weights(match))
        else:
            table["other_neuron"] = match
            matched = products[:, np.arange(len(match)), match]
        table[measure] = r
        for run, left in enumerate(r_without(counts, own, units.of(match), matched)):
            table[without(measure, run)] = left.astype(np.float32)
    return pd.DataFrame(table)


def largest(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of each row [neurons, others], and where; NaN and -1 for a row of NaN."""
    where = np.where(np.isnan(r), -np.inf, r).argmax(axis=1)
    value = np.clip(r[np.arange(len(r)), where], -1, 1)
    return value, np.where(np.isnan(value), -1, where)
