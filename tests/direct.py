"""Statistics that are computed of all activations directly, in float64, to compare those from summaries with."""

import numpy as np
import scipy.stats
from scipy.interpolate import BSpline
from texts import Text, activations

from layerscope.studies.token_length.resample_layer import LayerResamples
from layerscope.studies.token_length.stored_sample import StoredSample
from layerscope.studies.token_length.token_regressions import TokenRegressions
from layerscope.summarize.summary_shards import LayerSummary

SHARDS = {"cuts": (3, 20, 21), "batches": (2, 5)}  # of 40 sequences


class Direct:
    """Statistics of the activations of the tokens that take part."""

    def __init__(self, text: Text, values: np.ndarray) -> None:
        tokens, types = text.tokens, text.types
        self.x = values[text.keep].astype(np.float64)  # [tokens, neurons]
        self.ids, self.cluster = tokens.input_ids[text.keep], tokens.document[text.keep] % 100
        self.lengths = types["characters"].to_numpy()[self.ids].astype(np.float64)
        counted = types[~types["special"] & ~types["partial"]]
        self.median = np.median(np.repeat(counted["characters"], counted["corpus_count"]))
        frequency = np.log1p(types["corpus_count"].to_numpy())
        weights = np.where(types["special"] | types["partial"], 0, types["corpus_count"])
        interior = [np.quantile(np.repeat(frequency, weights), q, method="inverted_cdf") for q in (0.2, 0.4, 0.6, 0.8)]
        interior = [knot for knot in sorted(set(interior)) if frequency.min() < knot < frequency.max()]
        knots = [*[frequency.min()] * 4, *interior, *[frequency.max()] * 4]
        splines = BSpline.design_matrix(frequency, knots, 3).toarray()[self.ids]
        one, line = np.ones((len(self.ids), 1)), frequency[self.ids, None]
        space = types["leading_space"].to_numpy(np.float64)[self.ids, None]
        rest = [space, tokens.position[text.keep, None].astype(np.float64)]
        self.given = {
            ("r", "line"): [one],
            ("r_given_frequency", "line"): [one, line],
            ("r_given_all", "line"): [one, line, *rest],
            ("r_given_frequency", "spline"): [one, splines],
            ("r_given_all", "spline"): [one, splines, *rest],
        }
        self.given["r", "spline"] = self.given["r", "line"]

    def residuals(self, measure: str, frequency_covariate: str) -> tuple[np.ndarray, np.ndarray]:
        """Of lengths [tokens], and of neurons [tokens, neurons], given the covariates of a measure."""
        given = np.hstack(self.given[measure, frequency_covariate])
        given = np.hstack([np.ones((len(given), 1)), given[:, 1:] - given[:, 1:].mean(axis=0)])

        def left(of: np.ndarray) -> np.ndarray:
            centred = of - of.mean(axis=0)  # so that lstsq does not lose digits of a mean of 3,000
            return centred - given @ np.linalg.lstsq(given, centred, rcond=None)[0]

        return left(self.lengths), left(self.x)

    def without(self, cluster: int) -> np.ndarray:
        return self.cluster != cluster

    @property
    def clusters(self) -> list[int]:
        return sorted(set(self.cluster.tolist()))


def pearson(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Of each column of x with y; NaN for one that never varies."""
    return [scipy.stats.pearsonr(column, y).statistic if np.ptp(column) > 1e-11 else np.nan for column in x.T]


def regressions_of(text: Text, summary: LayerSummary, frequency_covariate: str = "spline") -> TokenRegressions:
    token_types = int(summary.attributes["token_types"])
    return TokenRegressions(
        summary.tokens, summary.covariates, text.types, token_types, "characters", frequency_covariate
    )


def resamples_of(text: Text, summary: LayerSummary, frequency_covariate: str = "spline") -> LayerResamples:
    stored = StoredSample.of(text.types, text.tokens, int(summary.attributes["token_types"]))
    return LayerResamples(regressions_of(text, summary, frequency_covariate), stored, 20, 0)


def varied(text: Text) -> np.ndarray:
    """Activations of six neurons, [tokens, neurons]: two plain ones, and as their comments say."""
    values = activations(text, 6)
    values[:, 2] = 30 + activations(text, 1, seed=1)[:, 0]
    values[:, 3] = -3000 + 10 * activations(text, 1, seed=2)[:, 0]
    values[:, 4] = np.round(values[:, 4])  # ties
    values[:, 5] = 0.1  # never varies
    values[~text.keep] = 1e4  # what is left out is massive
    return values
