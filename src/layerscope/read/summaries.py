"""What summaries say of each unit of a site, whether or not a study reads them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from layerscope.studies.token_length.neuron_moments import moments
from layerscope.summarize.summary_shards import read_layer_summary


def summary_table(paths: Sequence[str], site: str, layer: int, vocabulary: pd.DataFrame) -> pd.DataFrame:
    """Moments and range of each unit of a layer, over all tokens that take part in statistics.

    Args:
        paths: summaries of the site, in order.
        vocabulary: table of the tokens.

    Returns:
        One row per unit, as of :meth:`layerscope.read.run.Run.summary`.

    Raises:
        UserError: a summary is missing or damaged, or they and the vocabulary are not of one run.
    """
    summary = read_layer_summary(paths, layer, [vocabulary], site=site)
    sums = summary.neurons
    table = {"unit": np.arange(len(sums.pilot), dtype=np.int32), **moments(summary.tokens, sums)}
    table |= {"minimum": sums.least_value[0], "maximum": sums.most_value[0]}
    return pd.DataFrame(table).assign(tokens=summary.tokens.tokens)
