"""One layer to tables that describe its neurons one by one."""

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.contexts import StoredContexts, contexts_table
from layerscope.studies.token_length.length_groups import token_lengths
from layerscope.studies.token_length.length_means import LengthMeans
from layerscope.studies.token_length.neuron_histogram import NeuronHistograms
from layerscope.studies.token_length.token_types import token_types_table
from layerscope.summarize.summary_shards import read_layer_summary


def describe_layer(
    summaries: list[str], shards: list[str], vocabulary: pd.DataFrame, layer: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Describe the neurons of one layer.

    Args:
        summaries: summary shards of the sample, in order.
        shards: activation shards of the stored sample, in order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.

    Returns:
        The tables of :func:`.contexts_table`, :meth:`.LengthMeans.table`, :meth:`.NeuronHistograms.table` and
        :func:`.token_types_table`.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        summary = read_layer_summary(summaries, layer, [vocabulary], reader)
        tokens = reader.tokens()
        sample = token_lengths(vocabulary, tokens.input_ids)
        contexts = StoredContexts(tokens, sample.keep, int(summary.attributes["sequence_length"]))
        means = LengthMeans(sample.lengths, tokens.document[sample.keep])
        histograms = NeuronHistograms(sample.group)
        # Tokens that take part in no statistic are in the windows of others.
        for _, values in reader.blocks(np.ones(len(tokens), bool)):
            kept = values if sample.keep.all() else values.compress(sample.keep, axis=1)
            contexts.add(values, kept)
            means.add(kept)
            histograms.add(kept)
    types = token_types_table(summary, len(vocabulary))
    return contexts_table(summary, contexts), means.table(), histograms.table(), types
