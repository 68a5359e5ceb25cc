"""Size, coverage and power of tests and intervals of r, on simulated neurons that read a pool of text."""

import numpy as np
import pandas as pd
from calibration_text import Text, zscore

from layerscope.stats.intervals import null_p, student_quantile
from layerscope.stats.jackknife import jackknife_error, unit
from layerscope.studies.token_length.resample_layer import resample_neurons
from layerscope.studies.token_length.summaries_over_neurons import summaries

FEW, MANY = 16, 48  # neurons, for size and power, and for coverage
RESAMPLES, BATCH = 200, 20
SIGNALS = 16  # that the neurons of a layer share
TYPE, DOCUMENT, OWN = 0.75, 0.17, 0.64  # sizes of the effects, in standard deviations
LEVEL = 0.05
OF_NOTHING = {"mean": 0.0, "median": 0.0, "variance": 0.0, "fraction_positive": 0.5}
OVER_TOKENS = ("r", "r_given_frequency", "r_given_all")


class Neurons:
    """Neurons that read the pool: types and documents have effects, and every reading of a token has its own.

    ``plain``: normal effects; ``heavy``: Student's t with 3 degrees of freedom; ``shared``: half of the variance in a
    few signals; ``frequency``: a curve of log frequency too, and nothing else that correlates with length.

    Args:
        effects: [neurons], planted: by how many standard deviations the activation rises with one of length.
    """

    def __init__(self, pool: Text, kind: str, effects: np.ndarray, rng: np.random.Generator) -> None:
        self.pool, self.kind, self.effects, self.rng, count = pool, kind, effects, rng, len(effects)
        of_types, of_signals = (self._draw(rows, len(pool.vocabulary)) for rows in (count, SIGNALS))
        self.of_type = mixed(of_types, of_signals, kind == "shared", rng)
        self.of_document = self._draw(count, pool.documents[-1] + 1)
        self.bends = rng.normal(size=(count, 3)) * (np.array([0.8, 0.4, 0.4]) if kind == "frequency" else 0)
        self.frequency = zscore(pool.log_frequency)
        self.length = zscore(pool.lengths.astype(np.float64))

    def _draw(self, *shape: int) -> np.ndarray:
        if self.kind == "heavy":
            return self.rng.standard_t(3, shape) / 3**0.5
        return self.rng.standard_normal(shape)

    def fixed(self, places: np.ndarray) -> np.ndarray:
        """What is the same whenever a token of the pool is read: [neurons, places]."""
        x = self.frequency[places]
        values = TYPE * self.of_type[:, self.pool.types[places]]
        values += DOCUMENT * self.of_document[:, self.pool.documents[places]]
        values += self.bends @ np.stack([x, x**2, np.tanh(2 * x)])
        return values + self.effects[:, None] * self.length[places]

    def read(self, sample: Text) -> np.ndarray:
        """Activations [neurons, tokens]."""
        return self.fixed(sample.places) + OWN * self._draw(len(self.effects), len(sample.places))

    def truth(self) -> dict[str, np.ndarray]:
        """r of each neuron over the whole pool, read without end: measure → [neurons]."""
        found, fixed = {}, self.fixed(self.pool.places)
        for measure, covariates in self.pool.covariates().items():
            design = np.column_stack([np.ones(len(covariates)), covariates])
            values = np.column_stack([self.pool.lengths, fixed.T])
            fit, _, rank, _ = np.linalg.lstsq(design, values)
            left = (values - design @ fit).T
            length, left = unit(left[0]), left[1:]
            norm = np.sqrt((left**2).sum(axis=1) + OWN**2 * (len(length) - rank))
            found[measure] = left @ length / norm
        return found


def mixed(own: np.ndarray, signals: np.ndarray, shared: bool, rng: np.random.Generator) -> np.ndarray:
    if not shared:
        return own
    return 0.5**0.5 * (own + rng.standard_normal((len(own), SIGNALS)) @ signals / SIGNALS**0.5)


def one_set(made: Neurons, tokens: int, rng: np.random.Generator) -> dict[str, float]:
    """Results of one data set: shares of its neurons that pass, and of each summary the value, its error and its p."""
    sample = made.pool.draw(rng, tokens)
    resamples, rows = sample.resamples(RESAMPLES, int(rng.integers(2**31))), made.read(sample)
    table, drawn = resample_neurons(resamples, [(sample.summary(rows).neurons, rows)])
    found = {f"passing {name}": (table[name] <= LEVEL).mean() for name in ("p", "p_given_all")}
    found["documents"] = float(resamples.counts["documents"])
    for (measure, statistic), of in drawn.groupby(["measure", "statistic"]):
        kinds = {k: v.to_numpy() for k, v in of.groupby("kind")["value"]}
        value, name = kinds["observed"][0], f"{measure}_{statistic}"
        found[f"value {name}"] = value
        if "null" in kinds:
            found[f"p {name}"] = null_p(value, kinds["null"])
        if "jackknife" in kinds:
            found[f"error {name}"] = float(jackknife_error(kinds["jackknife"]))
            found[f"quantile {name}"] = student_quantile(of["clusters_effective"].iloc[0] - 1)
    return found


def sizes(pool: Text, kind: str, tokens: int, effect: float, sets: int, seed: int) -> pd.DataFrame:
    """Data sets of new neurons each, one row per data set."""
    rows = []
    for number in range(sets):
        rng = np.random.default_rng([seed, number])
        rows.append(one_set(Neurons(pool, kind, np.full(FEW, effect), rng), tokens, rng))
    return pd.DataFrame(rows)


def coverage(pool: Text, kind: str, tokens: int, sets: int, seed: int) -> pd.DataFrame:
    """Data sets of the same neurons, a layer of them for each BATCH data sets, with the truth about the layer."""
    rows: list[dict[str, float]] = []
    for layer in range(sets // BATCH):
        rng = np.random.default_rng([seed, layer])
        made = Neurons(pool, kind, rng.normal(0.05, 0.08, MANY), rng)
        true = {
            f"true {measure}_{statistic}": values[0]
            for measure, r in made.truth().items()
            for statistic, values in summaries(r[:, None], 0.0).items()
        }
        batch = [one_set(made, tokens, rng) for _ in range(BATCH)]
        rows += [found | true | {"layer": layer} for found in batch]
    return pd.DataFrame(rows)


def coverage_table(sets: pd.DataFrame) -> pd.DataFrame:
    """Of each summary: coverage of its expectation and of the truth, bias, and mean standard error over the spread."""
    rows = []
    for name in [c.removeprefix("error ") for c in sets if c.startswith("error ")]:
        value, error = sets[f"value {name}"], sets[f"error {name}"]
        # The mean of the batch holds each of its data sets.
        apart = (value - value.groupby(sets["layer"]).transform("mean")) * (BATCH / (BATCH - 1)) ** 0.5
        half_width, spread = error * sets[f"quantile {name}"], apart.std()
        row = {"summary": name, "coverage": (apart.abs() <= half_width).mean(), "error / sd": error.mean() / spread}
        if f"true {name}" in sets:
            miss = value - sets[f"true {name}"]
            row |= {"coverage of truth": (miss.abs() <= half_width).mean(), "bias / sd": miss.mean() / spread}
        rows.append(row)
    return pd.DataFrame(rows).set_index("summary")


def size_table(sets: pd.DataFrame) -> pd.Series:
    """Shares that pass, of neurons and of data sets, and of intervals of r over types that hold its null."""
    shares = {c.removeprefix("passing "): sets[c].mean() for c in sets if c.startswith("passing ")}
    shares |= {c[2:]: (sets[c] <= LEVEL).mean() for c in sets if c.startswith("p ")}
    for statistic, null in OF_NOTHING.items():
        name = f"r_types_{statistic}"
        miss = (sets[f"value {name}"] - null).abs()
        shares[f"{name}: interval holds {null:g}"] = (miss <= sets[f"error {name}"] * sets[f"quantile {name}"]).mean()
    return pd.Series(shares)
