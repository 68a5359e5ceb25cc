"""For each neuron of a model, the neuron of another model that correlates most with it over the same tokens."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.io.errors import UserError
from layerscope.io.tables import read_table
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.best_matches import best_matches, best_of_others, measured, pairs_of_products
from layerscope.studies.token_length.document_runs import PIECE, TOKENS_AT_ONCE, Runs, Sums
from layerscope.studies.token_length.layer_units import LayerUnits
from layerscope.studies.token_length.match_columns import ROTATIONS
from layerscope.studies.token_length.rotation import Rotation
from layerscope.tokenize.vocabulary import takes_part

PRODUCTS_AT_ONCE = 768  # neurons whose products a thread makes
TOKENS_OF_ALL_LAYERS = 512  # read of all layers at once: as many as are stored together
RUN_BYTES = 128 << 20  # of products by runs


def match_layer(
    shards: list[str],
    neurons: list[str],
    other_shards: list[str],
    other_neurons: str,
    vocabulary: pd.DataFrame,
    other_layer: int,
    seed: int,
    threads: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """For every neuron of a model, the one of a layer of another model that it correlates with most, and back.

    The baseline is rotated layers: an orthogonal rotation preserves all the information in the layer, and how much its
    units vary together, but no unit is a neuron any more (Gurnee et al. 2024, "Universal neurons in GPT2 language
    models").

    The error of both is a jackknife over runs of documents. The best match stays that of all tokens: where a maximum
    is unique, its derivative is that of the value there (the envelope theorem). So products by runs are needed of
    matched pairs alone: where those of all pairs take more than ``RUN_BYTES``, they come from a second pass over the
    tokens.

    Args:
        shards: activation shards of the model, in order.
        neurons: tables of :func:`token_length.correlate_layer.correlate_layer` of its layers, in order.
        other_shards: activation shards of the other model, in order.
        other_neurons: the table of the other model's layer.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        other_layer: number of that layer.
        seed: of the rotations.
        threads: how many cores may be used, where each call of BLAS takes one.

    Returns:
        One row per neuron of the model: ``layer``, ``neuron``, ``other_layer``, ``other_neuron``, ``r`` (Pearson, the
        largest) and ``r_rotated_{rotation}`` (the largest with a unit of the layer under each of ``ROTATIONS``
        rotations); of these, ``{measure}_without_{run}``, as float32, with each of the :class:`Runs` left out. NaN, and
        -1 for ``other_neuron``, for a neuron that never varies.

        And one row per neuron of the other model's layer: ``layer`` (that one), ``neuron``, and its best match among
        all neurons of the model: ``other_layer``, ``other_neuron`` and ``r``; -1, -1 and NaN if it never varies.

    Raises:
        UserError: a shard is damaged or of another run, or the two models did not read the same tokens.
    """
    others = read_table(other_neurons)
    rng = np.random.default_rng(seed)
    rotations = [Rotation(len(others), rng) for _ in range(ROTATIONS)]
    with ExitStack() as stack:
        # Snakemake counts cores as they are asked for; more threads than cores slow each other down.
        pool = stack.enter_context(ThreadPoolExecutor(min(threads, len(os.sched_getaffinity(0)))))
        other = stack.enter_context(LayerReader(other_shards, SITE, other_layer, [vocabulary]))
        tokens = other.tokens()
        runs = Runs(tokens.document, takes_part(vocabulary, tokens.input_ids))
        layers = [
            Layer(stack.enter_context(LayerReader(shards, SITE, layer, [vocabulary])), read_table(path), runs)
            for layer, path in enumerate(neurons)
        ]
        if layers[0].reader.tokens() != tokens:
            raise UserError(
                f"{shards[0]} and {other_shards[0]} hold different tokens; only models with one tokenizer and "
                "one corpus can be compared neuron by neuron"
            )
        units = LayerUnits(other, runs, others["mean"].to_numpy(np.float32), rotations, pool)
        by_run = 4 * len(runs) * len(layers[0].table) * other.width <= RUN_BYTES
        best, pairs, of_others = [], [], []
        for layer in layers:
            products = layer.products(units, by_run, pool)
            of_all = products.sum(axis=0) if by_run else products[0]
            best.append(best_matches(of_all, layer.sums, units.sums, runs.counts, rotations, pool))
            of_others.append(best_of_others(of_all, layer.sums, units.sums[0], runs.counts, pool))
            if by_run:
                pairs.append(pairs_of_products(products, best[-1][1], rotations, pool))
        if not by_run:
            pairs = pairs_of_tokens(layers, units, [match for _, match in best], pool)
    tables = []
    for number, (layer, (r, match), products) in enumerate(zip(layers, best, pairs, strict=True)):
        place = {"layer": number, "neuron": layer.table["neuron"], "other_layer": other_layer}
        columns = measured(r, match, layer.sums, units.sums, runs.counts, products)
        tables.append(pd.DataFrame(place | columns))
    back = best_over_layers([layer.table["neuron"] for layer in layers], of_others)
    place = {"layer": np.int64(other_layer), "neuron": others["neuron"]}
    return pd.concat(tables, ignore_index=True), pd.DataFrame(place | back)


def best_over_layers(neurons: list[pd.Series], found: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Of the best matches of some neurons in each layer of a model, the best of all: three columns.

    Args:
        neurons: their numbers, of each layer.
        found: of :func:`best_of_others`, of each layer.
    """
    r = np.stack([of_layer for of_layer, _ in found])
    none = np.isnan(r).all(axis=0)
    layer, at = np.nan_to_num(r, nan=-np.inf).argmax(axis=0), np.arange(r.shape[1])
    numbers = np.stack([of.to_numpy()[match] for of, (_, match) in zip(neurons, found, strict=True)])
    return {
        "other_layer": np.where(none, -1, layer),
        "other_neuron": np.where(none, -1, numbers[layer, at]),
        "r": r[layer, at],
    }


class Layer:
    """A layer of the model, whose neurons are standardized by their table.

    Args:
        reader: of the layer.
        table: of its neurons.
        runs: of the tokens.
    """

    def __init__(self, reader: LayerReader, table: pd.DataFrame, runs: Runs) -> None:
        self.reader, self.table, self.runs = reader, table, runs
        self.sums = Sums.zeros(len(runs), reader.width)
        self.mean = table["mean"].to_numpy(np.float32)
        with np.errstate(divide="ignore"):
            self.scale = (1 / table["std"]).replace(np.inf, np.nan).to_numpy(np.float32)

    def rows(self, at_once: int) -> Iterator[np.ndarray]:
        """As :meth:`Runs.rows`, standardized."""
        for rows in self.runs.rows(self.reader, at_once):
            rows -= self.mean
            rows *= self.scale
            yield rows

    def products(self, others: LayerUnits, by_run: bool, pool: Executor) -> np.ndarray:
        """Sums of products with the neurons of another layer: [runs, neurons, others], or [1, ...] of all tokens.

        On the way, the layer's own :class:`Sums` are taken.
        """
        products = np.zeros((len(self.runs) if by_run else 1, self.reader.width, others.width), np.float32)

        def add(x: np.ndarray, y: np.ndarray, task: tuple[tuple[int, slice], int]) -> None:
            (run, part), start = task
            some = slice(start, start + PRODUCTS_AT_ONCE)
            of_run = products[run, some]
            of_run += x[part, some].T @ y[part]

        at_once, starts = TOKENS_AT_ONCE, range(0, self.reader.width, PRODUCTS_AT_ONCE)
        rows, others_rows = self.rows(at_once), others.neurons(at_once)
        for block, x, y in zip(self.runs.blocks(at_once), rows, others_rows, strict=True):
            for run, part in self.runs.parts(block, PIECE):
                self.sums.add(run, x[part])
            parts = self.runs.parts(block, at_once) if by_run else [(0, slice(None))]
            list(pool.map(partial(add, x, y), product(parts, starts)))
        return products


def pairs_of_tokens(
    layers: list[Layer], others: LayerUnits, matches: list[np.ndarray], pool: Executor
) -> list[np.ndarray]:
    """As :func:`pairs_of_products`, of each layer, from the activations.

    Args:
        layers: of the model.
        others: the other layer.
        matches: [measures, neurons] of each layer, units of the other one.
        pool: threads, which take one measure at a time.
    """
    runs = others.runs
    pairs = [np.zeros((len(match), len(runs), match.shape[1])) for match in matches]

    def add(block: slice, neurons: np.ndarray, rows: tuple[np.ndarray, ...], measure: int) -> None:
        for run, part in runs.parts(block, PIECE):
            units = others.units(measure, neurons[part])
            for own, match, sums in zip(rows, matches, pairs, strict=True):
                sums[measure, run] += np.einsum("tn,tn->n", own[part], units.take(match[measure], axis=1))

    at_once = TOKENS_OF_ALL_LAYERS
    of_layers = zip(*(layer.rows(at_once) for layer in layers), strict=True)
    for block, neurons, rows in zip(runs.blocks(at_once), others.neurons(at_once), of_layers, strict=True):
        list(pool.map(partial(add, block, neurons, rows), range(len(others.sums))))
    return pairs
