"""One layer's r with token length: given its confounds, under its sign-flip null, and jackknifed over the text."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.stats.jackknife import MOST, Jackknife, JackknifePearson, effective_number, jackknife_error, unit
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.group_effects import GroupEffects
from layerscope.studies.token_length.jackknife_sums import jackknife_pearson, pearson_of_classes, residual_sums
from layerscope.studies.token_length.measures import MEASURES
from layerscope.studies.token_length.neuron_moments import varies
from layerscope.studies.token_length.sign_flip_null import SIGNS, p_of_null
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.summaries_over_neurons import (
    error_variance,
    jackknife_summaries,
    summaries,
    table_of,
)
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summary_shards import LayerSummary, read_layer_summary


def resample_layer(
    summary_shards: list[str],
    shards: list[str],
    vocabulary: pd.DataFrame,
    layer: int,
    resamples: int,
    seed: int,
    frequency_covariate: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resample one layer; returns the tables of :func:`resample_neurons`.

    Args:
        summary_shards: summary shards of the sample, in order.
        shards: activation shards of the stored sample, in order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.
        resamples: number of resamples of the null.
        seed: of the random numbers.
        frequency_covariate: how frequency enters the covariates, ``spline`` or ``line``.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        summary = read_layer_summary(summary_shards, layer, [vocabulary], reader)
        token_types = int(summary.attributes["token_types"])
        regressions = TokenRegressions(
            summary.tokens, summary.covariates, vocabulary, token_types, "characters", frequency_covariate
        )
        stored = StoredSample.of(vocabulary, reader.tokens(), token_types)
        resampling = LayerResamples(regressions, stored, resamples, seed)
        return resample_neurons(resampling, blocks_of(summary, reader, stored.keep))


def blocks_of(summary: LayerSummary, reader: LayerReader, keep: np.ndarray) -> Iterator[tuple[NeuronSums, np.ndarray]]:
    """A layer by blocks of neurons: their sums, and their activations in the stored sample, float64 [neurons, tokens].

    Args:
        keep: which of the sample's tokens, bool.
    """
    for start, values in reader.blocks(keep):
        yield summary.neurons.block(start, start + len(values)), values.astype(np.float64)


def resample_neurons(
    layer: "LayerResamples", blocks: Iterable[tuple[NeuronSums, np.ndarray]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resample the neurons of a layer, given block after block: their sums, and stored activations [neurons, tokens].

    Returns:
        The table of neurons: ``neuron``, the four ``MEASURES``, ``r_std_error`` and ``r_types_std_error`` (jackknife
        over documents, and over types), ``r_null_error`` (standard error of r under the null), ``p`` and
        ``p_given_all`` (two-sided, under the null); and the table of
        resamples: ``measure``, ``statistic``, ``kind`` (``observed``, ``null``, or ``jackknife``: without a cluster of
        documents, or a group of types for r over types), ``resample``, ``value``, and ``clusters`` and
        ``clusters_effective``, the number of clusters of documents, or of types. Of the ``MEASURES`` there are the
        statistics of :mod:`token_length.summaries_over_neurons`; of ``shift`` the mean over neurons of the mean
        activation of long tokens minus that of short ones, in each neuron's standard deviations; of ``overlap`` the
        mean over neurons of the overlap of the two, in the stored sample; of ``kurtosis`` the median over neurons.
        ``tokens``, ``types`` and ``documents`` that each rests on are in both. Neurons that never vary have no r.
    """
    parts, groups = [], GroupEffects(layer)
    for sums, rows in blocks:
        parts.append(layer.of_neurons(sums, rows))
        groups.add(sums, rows)
    neurons, tables = tables_of_r(layer, parts)
    return neurons, drawn_table(layer, [*tables, *groups.tables()])


def tables_of_r(
    layer: "LayerResamples", parts: Sequence[dict[tuple[str, str], np.ndarray]]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """The table of neurons of :func:`resample_neurons`, and the rows of the table of resamples that are of r.

    Args:
        parts: what :meth:`LayerResamples.of_neurons` gave for the neurons of the layer, in order.
    """
    r = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if layer.clusters > 1:
        # A neuron that varies in a single document correlates with nothing without it.
        for measure in MEASURES:
            jackknife = r[measure, "jackknife"]
            jackknife[np.isnan(jackknife) & ~np.isnan(r[measure, "observed"])] = 0
    widen_types(r)
    neurons = pd.DataFrame({"neuron": np.arange(len(r["r", "observed"]), dtype=np.int32)})
    for measure in MEASURES:
        neurons[measure] = r[measure, "observed"][:, 0]
    for measure in ("r", "r_types"):
        neurons[f"{measure}_std_error"] = jackknife_error(r[measure, "jackknife"])
    neurons["r_null_error"] = r["r", "null_error"][:, 0]
    for suffix in ("", "_given_all"):
        neurons[f"p{suffix}"] = p_of_null(r[f"r{suffix}", "observed"][:, 0], r[f"r{suffix}", "null_error"][:, 0])
    tables = []
    for measure in MEASURES:
        observed, null, jackknife = (r[measure, kind] for kind in ("observed", "null", "jackknife"))
        has_r = ~np.isnan(observed[:, 0])
        observed, changes = observed[has_r], jackknife[has_r] - observed[has_r]
        error = error_variance(changes)
        of_kinds = {"observed": summaries(observed, error), "null": summaries(null[has_r], error)}
        if changes.shape[1]:
            of_kinds["jackknife"] = jackknife_summaries(observed[:, 0], changes, error)
        tables += [table_of(found, measure, kind) for kind, found in of_kinds.items()]
    return neurons.assign(**layer.counts), tables


def drawn_table(layer: "LayerResamples", tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The table of resamples of :func:`resample_neurons`, from its rows."""
    drawn = pd.concat(tables, ignore_index=True)
    over_types, stored = drawn["measure"] == "r_types", drawn["measure"] == "overlap"
    drawn["clusters"] = np.select(
        [over_types, stored], [layer.types, layer.stored.counts["documents"]], layer.counts["documents"]
    )
    drawn["clusters_effective"] = np.select(
        [over_types, stored],
        [layer.types_jackknife.effective, layer.stored.documents.effective],
        layer.clusters_effective,
    )
    drawn = drawn.assign(**layer.counts)
    for name, count in layer.stored.counts.items():
        drawn.loc[stored, name] = count
    return drawn


class LayerResamples:
    """Signs of the null and groups of the jackknife: the same for every neuron, layer and model of the same tokens.

    Args:
        regressions: of the property that neurons are correlated with.
        stored: the stored sample.
        resamples: number of resamples of the null, see :mod:`token_length.sign_flip_null`.
        seed: of the random numbers.
    """

    def __init__(self, regressions: TokenRegressions, stored: StoredSample, resamples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.regressions, self.stored, self.tokens = regressions, stored, regressions.tokens
        self.types = int(np.count_nonzero(regressions.own))  # classes of one type come first
        self.types_jackknife = Jackknife(rng.permutation(self.types) % MOST)
        self.signs = rng.choice(SIGNS, (len(self.tokens.classes), resamples))
        self.clusters = len(self.tokens.clusters)
        self.clusters_effective = effective_number(self.tokens.cluster_counts)
        documents = len(self.tokens.documents)
        self.counts = {"tokens": self.tokens.tokens, "types": self.types, "documents": documents}
        # What documents add to the variance of r over types falls with their number.
        self.documents_share = stored.counts["documents"] / documents
        self.types_weights = unit(regressions.of_classes[: self.types])
        self.types_pearson = JackknifePearson(self.types_jackknife, self.types_weights)

    def of_neurons(self, sums: NeuronSums, rows: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """r of neurons: (measure, kind) → [neurons, resamples], one resample where observed.

        With documents or types left out, the fit of the covariates is kept. The further kind ``null_error`` is the
        standard deviation of the null; ``variances`` of ``r_types`` see :func:`widen_types`.

        Args:
            sums: of the neurons.
            rows: [neurons, tokens of the stored sample], float64.
        """
        found = {}
        constant = ~varies(sums)
        for measure, regression in self.regressions.measures.items():
            left = residual_sums(sums, self.tokens, regression)
            parts = (left.classes * regression.null_weights[:, None]).T
            if self.regressions.is_covariate:
                observed, jackknife = jackknife_pearson(left, self.tokens.cluster_products, regression.weights)
            else:  # of which there are no sums over clusters of documents
                weight = regression.weights[self.regressions.property]
                observed = pearson_of_classes(left, self.regressions.scaled, weight)
                jackknife = np.empty((len(observed), 0))
            observed[constant], jackknife[constant], parts[constant] = np.nan, np.nan, np.nan
            found[measure, "observed"], found[measure, "jackknife"] = observed[:, None], jackknife
            self._add_null(found, measure, parts, self.signs)
        means = (sums.class_sums[: self.types] / self.tokens.class_counts[: self.types, None]).T
        units = unit(means)
        units[constant] = np.nan
        parts = units * self.types_weights
        found["r_types", "observed"] = (units @ self.types_weights)[:, None]
        found["r_types", "jackknife"] = self.types_pearson.of(units)
        self._add_null(found, "r_types", parts, self.signs[: self.types])
        beyond = self.stored.variance_of_documents(rows) * self.documents_share
        found["r_types", "variances"] = np.column_stack([(parts**2).sum(axis=1), np.where(constant, np.nan, beyond)])
        return found

    def _add_null(
        self, found: dict[tuple[str, str], np.ndarray], measure: str, parts: np.ndarray, signs: np.ndarray
    ) -> None:
        found[measure, "null"] = parts @ signs
        found[measure, "null_error"] = np.linalg.norm(parts, axis=1, keepdims=True)


def widen_types(r: dict[tuple[str, str], np.ndarray]) -> None:
    """Widen the null and the jackknife of r over types by what documents add to the variance.

    By one factor for all neurons of a layer: documents are too few to estimate it for a single neuron.

    Args:
        r: as :meth:`LayerResamples.of_neurons` gives, of all neurons of the layer; changed in place.
    """
    of_types, of_documents = np.nansum(r["r_types", "variances"], axis=0)
    factor = np.sqrt(max(1.0, 1 + of_documents / of_types)) if of_types > 0 else 1.0
    for kind in ("null", "null_error"):
        r["r_types", kind] *= factor
    observed = r["r_types", "observed"]
    r["r_types", "jackknife"] = observed + (r["r_types", "jackknife"] - observed) * factor
