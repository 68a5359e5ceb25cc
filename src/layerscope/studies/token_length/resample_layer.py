"""One layer's r with token length: given its confounds, under its sign-flip null, and jackknifed over the text."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from layerscope.extract.activation_shards import LayerReader
from layerscope.stats.correlation import varies
from layerscope.stats.jackknife import MOST, Groups, Jackknife, JackknifePearson, jackknife_error, unit
from layerscope.stats.partial_correlation import covariate_basis, residuals
from layerscope.studies.token_length import SITE
from layerscope.studies.token_length.confounds import Confounds, confounds_of
from layerscope.studies.token_length.group_effects import GroupEffects
from layerscope.studies.token_length.length_groups import TokenLengths, token_lengths
from layerscope.studies.token_length.measures import MEASURES
from layerscope.studies.token_length.sign_flip_null import SIGNS, null_weights, p_of_null
from layerscope.studies.token_length.summaries_over_neurons import (
    error_variance,
    jackknife_summaries,
    summaries,
    table_of,
)


def resample_layer(
    shards: list[str],
    vocabulary: pd.DataFrame,
    layer: int,
    resamples: int,
    seed: int,
    frequency_covariate: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resample one layer; returns the tables of :func:`resample_neurons`.

    Args:
        shards: activation shards of the sample, in order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        layer: which one.
        resamples: number of resamples of the null.
        seed: of the random numbers.
        frequency_covariate: how frequency enters the covariates, ``spline`` or ``line``.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary]) as reader:
        tokens = reader.tokens()
        sample = token_lengths(vocabulary, tokens.input_ids)
        confounds = Confounds(confounds_of(vocabulary, tokens)[sample.keep], frequency_covariate)
        layer_resamples = LayerResamples(
            sample, tokens.input_ids[sample.keep], tokens.document[sample.keep], confounds, resamples, seed
        )
        return resample_neurons(
            layer_resamples, (values.astype(np.float64) for _, values in reader.blocks(sample.keep))
        )


def resample_neurons(layer: "LayerResamples", blocks: Iterable[np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Resample the neurons of a layer, given block after block as [neurons, tokens].

    Returns:
        The table of neurons: ``neuron``, the four ``MEASURES``, ``r_std_error`` and ``r_types_std_error`` (jackknife
        over documents, and over types), ``p`` and ``p_given_all`` (two-sided, under the null); and the table of
        resamples: ``measure``, ``statistic``, ``kind`` (``observed``, ``null``, or ``jackknife``: without a group of
        documents, or of types for r over types), ``resample``, ``value``, and ``clusters`` and ``clusters_effective``,
        the number of documents or types. Of the ``MEASURES`` there are the statistics of
        :mod:`token_length.summaries_over_neurons`; of ``shift`` the mean over neurons of the mean activation of long
        tokens minus that of short ones, in each neuron's standard deviations; of ``overlap`` the mean over neurons of
        the overlap of the two; of ``kurtosis`` the median over neurons. ``tokens``, ``types`` and ``documents`` of the
        sample are in both. Neurons that never vary have no r.
    """
    parts, groups = [], GroupEffects(layer.group, layer.types, layer.documents, layer.signs)
    for rows in blocks:
        parts.append(layer.of_neurons(rows))
        groups.add(unit(rows[varies(rows)]) * np.sqrt(rows.shape[1]))
    r = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if layer.documents.clusters > 1:
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
    for suffix in ("", "_given_all"):
        neurons[f"p{suffix}"] = p_of_null(r[f"r{suffix}", "observed"][:, 0], r[f"r{suffix}", "null_error"][:, 0])
    tables = []
    for measure in MEASURES:
        observed, null, jackknife = (r[measure, kind] for kind in ("observed", "null", "jackknife"))
        has_r = ~np.isnan(observed[:, 0])
        observed, changes = observed[has_r], jackknife[has_r] - observed[has_r]
        error = error_variance(changes)
        of_kinds = {"observed": summaries(observed, error), "null": summaries(null[has_r], error)}
        of_kinds["jackknife"] = jackknife_summaries(observed[:, 0], changes, error)
        tables += [table_of(found, measure, kind) for kind, found in of_kinds.items()]
    drawn = pd.concat([*tables, *groups.tables()], ignore_index=True)
    documents, types = layer.documents, layer.types_jackknife
    over_types = drawn["measure"] == "r_types"
    drawn["clusters"] = np.where(over_types, len(layer.types), documents.clusters)
    drawn["clusters_effective"] = np.where(over_types, types.effective, documents.effective)
    return neurons.assign(**layer.counts), drawn.assign(**layer.counts)


class LayerResamples:
    """Signs of the null and groups of the jackknife: the same for every neuron, layer and model of the same tokens.

    Args:
        sample: lengths of the tokens.
        types: [tokens], token ids.
        documents: [tokens], numbers of the documents.
        confounds: of the tokens.
        resamples: number of resamples of the null, see :mod:`token_length.sign_flip_null`.
        seed: of the random numbers.
    """

    def __init__(
        self,
        sample: TokenLengths,
        types: np.ndarray,
        documents: np.ndarray,
        confounds: Confounds,
        resamples: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        lengths = sample.lengths.astype(np.float64)
        self.types, self.documents = Groups(types), Jackknife(documents)
        self.types_of_documents = Groups(self.types.labels * MOST + self.documents.groups.labels)
        self.types_jackknife = Jackknife(rng.permutation(len(self.types)) % MOST)
        self.signs = rng.choice(SIGNS, (len(self.types), resamples))
        self.group = sample.group
        self.counts = {"tokens": len(lengths), "types": len(self.types), "documents": self.documents.clusters}
        self.bases = {name: covariate_basis(covariates) for name, covariates in confounds.covariates.items()}
        self.weights: dict[str, np.ndarray] = {}  # measure → residuals of the lengths given its covariates, of norm 1
        for measure, basis in self.bases.items():
            left = residuals(lengths[None], basis)[0]
            with np.errstate(invalid="ignore"):  # NaN where the covariates explain length fully: there is no partial r
                self.weights[measure] = left / np.linalg.norm(left)
        self.null_weights = {m: null_weights(w, self.bases[m], self.types) for m, w in self.weights.items()}
        self.weights["r_types"] = unit(lengths[self.types.first])
        self.jackknife_r = {
            measure: JackknifePearson(
                self.types_jackknife if measure == "r_types" else self.documents, y, np.ones(len(y), dtype=bool)
            )
            for measure, y in self.weights.items()
        }

    def of_neurons(self, rows: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """r of neurons [neurons, tokens]: (measure, kind) → [neurons, resamples], one resample where observed.

        With documents or types left out, the fit of the covariates is kept. The further kind ``null_error`` is the
        standard deviation of the null; ``variances`` of ``r_types`` see :func:`widen_types`.
        """
        found = {}
        constant = ~varies(rows)
        for measure in MEASURES:
            if measure == "r_types":
                means = self.types.means(rows)
                left = unit(means)
                parts = left * self.weights[measure]
                found[measure, "variances"] = self._variances(rows, means, parts)
                found[measure, "variances"][constant] = np.nan
            else:
                left = unit(residuals(rows, self.bases[measure]))
                parts = self.types.sums(left * self.null_weights[measure])
            left[constant], parts[constant] = np.nan, np.nan
            found[measure, "observed"] = (left @ self.weights[measure])[:, None]
            found[measure, "null"] = parts @ self.signs
            found[measure, "null_error"] = np.linalg.norm(parts, axis=1, keepdims=True)
            found[measure, "jackknife"] = self.jackknife_r[measure].of(left)
        return found

    def _variances(self, rows: np.ndarray, means: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Variance of r over types that is due to types, and what documents add to it: [neurons, 2].

        Tokens of a document are correlated, and those of a type are (two-way clusters of Cameron, Gelbach and Miller
        2011, J. Bus. Econ. Stat. 29:238).

        Args:
            means: of the types, [neurons, types].
            parts: of r over types, likewise.
        """
        weights = (self.weights["r_types"] / self.types.sizes)[self.types.labels]
        middle = means.mean(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_tokens = (rows - middle) * weights / np.linalg.norm(means - middle, axis=1, keepdims=True)
        groups = self.documents.groups
        of_documents = groups.sums(of_tokens) - parts.sum(axis=1, keepdims=True) * groups.sizes / groups.sizes.sum()
        both = self.types_of_documents.sums(of_tokens)
        beyond = (of_documents**2).sum(axis=1) * len(groups) / max(1, len(groups) - 1) - (both**2).sum(axis=1)
        return np.column_stack([(parts**2).sum(axis=1), beyond])


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
