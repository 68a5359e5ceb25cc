"""One layer's r with other properties of token types, as :mod:`.resample_layer` has it for their length."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.io.errors import UserError, damaged
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.resample_layer import LayerResamples, blocks_of, drawn_table, tables_of_r
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summary_shards import LayerSummary, read_layer_summary
from layerscope.tokenize.property_names import of_tables
from layerscope.tokenize.token_properties import PropertySpec, token_properties
from layerscope.tokenize.vocabulary import takes_part


def resample_properties(
    summary_shards: list[str],
    shards: list[str],
    vocabulary: pd.DataFrame,
    layer: int,
    properties: PropertySpec,
    resamples: int,
    seed: int,
    frequency_covariate: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resample one layer for each property; returns the tables of :func:`tables_of_properties`.

    Args:
        summary_shards: summary shards of the sample, in order.
        shards: activation shards of the stored sample, in order, from which what documents add to r over types comes.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.
        properties: which ones.
        resamples: number of resamples of the null.
        seed: of the random numbers.
        frequency_covariate: how frequency enters the covariates, ``spline`` or ``line``.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run; the table of
            properties cannot be used, lacks a type or is not that of the summaries; a property does not vary over the
            sample.
    """
    values = token_properties(properties, vocabulary, vocabulary["count"].to_numpy())
    check_properties_vary(values, vocabulary)
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        summary, tokens = read_layer_summary(summary_shards, layer, [vocabulary], reader), reader.tokens()
        check_table(properties, summary, summary_shards[0])
        token_types = int(summary.attributes["token_types"])
        layers = {}
        for name, of_types in values.items():
            regressions = TokenRegressions(
                summary.tokens, summary.covariates, vocabulary, token_types, name, frequency_covariate, of_types
            )
            stored = StoredSample.of(vocabulary, tokens, token_types, of_types)
            layers[name] = LayerResamples(regressions, stored, resamples, seed)
        keep = takes_part(vocabulary, tokens.input_ids)
        return tables_of_properties(layers, blocks_of(summary, reader, keep))


def tables_of_properties(
    layers: Mapping[str, LayerResamples], blocks: Iterable[tuple[NeuronSums, np.ndarray]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resample the neurons of a layer for each property.

    Args:
        layers: property → its resamples.
        blocks: of neurons: their sums, and their activations [neurons, tokens of the stored sample].

    Returns:
        The two tables of :func:`.resample_neurons` without shift, overlap and kurtosis, one property after the other,
        with the column ``property``. In the table of resamples also ``tokens_own_class``, the share of tokens whose
        type has a class of its own, and ``over_documents``, whether the property is a covariate of the summaries. Of
        one that is not there is no jackknife over documents, so that ``r_std_error`` is NaN and so is ``variance``,
        from which the errors of r cannot be taken out.
    """
    parts: dict[str, list[dict[tuple[str, str], np.ndarray]]] = {name: [] for name in layers}
    for sums, rows in blocks:
        for name, layer in layers.items():
            parts[name].append(layer.of_neurons(sums, rows))
    neurons: list[pd.DataFrame] = []
    drawn: list[pd.DataFrame] = []
    for name, layer in layers.items():
        of_neurons, tables = tables_of_r(layer, parts.pop(name))
        regressions, counts = layer.regressions, layer.tokens.class_counts
        of_resamples = drawn_table(layer, tables).assign(
            tokens_own_class=counts[regressions.own].sum() / counts.sum(), over_documents=regressions.is_covariate
        )
        for table, all_tables in ((of_neurons, neurons), (of_resamples, drawn)):
            table.insert(0, "property", name)
            all_tables.append(table)
    return pd.concat(neurons, ignore_index=True), pd.concat(drawn, ignore_index=True)


def check_table(properties: PropertySpec, summary: LayerSummary, path: str) -> None:
    """Check that the covariates of a summary are columns of the table that the properties are now read from.

    Args:
        path: of the first summary shard.

    Raises:
        UserError: they are of another one, or the table was edited.
    """
    table = properties["table"]
    summed = set(of_tables(properties["names"])) & set(summary.covariates)
    if table and summed and summary.attributes.get("properties_digest") != table["digest"]:
        raise damaged(path, f"it has sums with another table of properties than {table['path']}")


def check_properties_vary(values: Mapping[str, np.ndarray], vocabulary: pd.DataFrame) -> None:
    """Check that no property has one value in the whole sample.

    Args:
        values: property → its value for each type.
        vocabulary: table of :mod:`layerscope.tokenize.vocabulary`.

    Raises:
        UserError: one has.
    """
    sample = (vocabulary["count"] > 0) & ~(vocabulary["special"] | vocabulary["partial"])
    for name, of_types in values.items():
        found = of_types[sample]
        if len(found) and found.min() == found.max():
            raise UserError(
                f"studies.token_length.properties: '{name}' is {found[0]:g} for all tokens of the sample, so that "
                "nothing correlates with it; leave it out"
            )
