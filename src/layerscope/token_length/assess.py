"""One layer's r with token length held against its confounds, against chance, and against another draw of the text."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from layerscope.extract.activation_shards import LayerReader
from layerscope.partial import control_basis, resampled_pearson, residuals
from layerscope.token_length import SITE
from layerscope.token_length.confounds import CONFOUNDS, confounds_of
from layerscope.token_length.groups import token_lengths
from layerscope.token_length.resampling import Groups, dealt, multiplicities

BLOCK_BYTES = 32 << 20  # of float64 held at once, of neurons and of draws
# r over tokens; given log frequency; given all confounds; over types.
MEASURES = ("r", "r_given_frequency", "r_given_all", "r_types")
RESAMPLED = ("r", "r_given_all")


def assess_layer(
    shards: list[str], vocabulary: pd.DataFrame, frequency: pd.DataFrame, layer: int, draws: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assess one layer.

    Chance deals the lengths of the sample's types anew to its types; of a partial r it deals what the controls leave of
    them (Freedman and Lane 1983). For intervals, sequences, types and tokens are each drawn anew, with the fit of the
    controls kept; :func:`two_way_std` puts the three together.

    Args:
        shards: activation shards of the sample, in order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        frequency: table of :func:`layerscope.tokenize.frequency.frequency_table`.
        layer: which one.
        draws: of chance, and of the text.
        seed: of both.

    Returns:
        The table of neurons: ``neuron``, the four :data:`MEASURES`, ``r_std_error``, ``p`` and ``p_given_all``
        (two-sided, against chance); and the table of draws, of r over neurons: ``measure``, ``kind`` (``observed``,
        ``chance``, or what was drawn: ``sequences``, ``types``, ``tokens``), ``draw``, ``mean``, ``median``, ``std``
        and ``fraction_positive``. ``tokens``, ``types`` and ``sequences`` of the sample are in both. Neurons that
        never vary have no r.

    Raises:
        UserError: a shard is damaged.
    """
    with LayerReader(shards, SITE, layer) as reader:
        tokens = reader.tokens()
        sample = token_lengths(vocabulary, tokens.input_ids)
        controls = confounds_of(vocabulary, frequency, tokens)[sample.keep]
        draw = LayerDraws(
            sample.lengths, tokens.input_ids[sample.keep], tokens.sequence[sample.keep], controls, draws, seed
        )
        block = max(1, BLOCK_BYTES // (8 * len(sample.keep)))
        parts = [
            draw.of_neurons(reader.columns(start, min(start + block, reader.width))[:, sample.keep].astype(np.float64))
            for start in range(0, reader.width, block)
        ]
    r = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    neurons = pd.DataFrame({"neuron": np.arange(len(r["r", "observed"]), dtype=np.int32)})
    for measure in MEASURES:
        neurons[measure] = r[measure, "observed"][:, 0]
    neurons["r_std_error"] = two_way_std(*(r["r", kind].std(axis=1) for kind in ("sequences", "types", "tokens")))
    for suffix in ("", "_given_all"):
        neurons[f"p{suffix}"] = p_of_chance(r[f"r{suffix}", "observed"][:, 0], r[f"r{suffix}", "chance"])
    draws_table = pd.concat(
        [summaries_over_neurons(values).assign(measure=measure, kind=kind) for (measure, kind), values in r.items()],
        ignore_index=True,
    )
    counts = {"tokens": len(sample.lengths), "types": len(draw.types), "sequences": len(draw.sequences)}
    return neurons.assign(**counts), draws_table.assign(**counts)


class LayerDraws:
    """The draws of chance and of the text, the same for every neuron.

    Args:
        lengths: [tokens], characters.
        types: [tokens], token ids.
        sequences: [tokens], numbers of the sequences.
        controls: the confounds, a row a token.
        draws: how many.
        seed: of the random numbers.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        types: np.ndarray,
        sequences: np.ndarray,
        controls: pd.DataFrame,
        draws: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.draws, self.seed = draws, seed
        self.types, self.sequences = Groups(types), Groups(sequences)
        self.length_of_type = unit(lengths[self.types.first].astype(np.float64))
        chosen = {"r": (), "r_given_frequency": ("log_frequency",), "r_given_all": CONFOUNDS}
        self.bases = {key: control_basis(controls[list(names)].to_numpy()) for key, names in chosen.items()}
        self.lengths: dict[str, np.ndarray] = {}  # measure → what its controls leave of the lengths, [tokens]
        self.chance: dict[str, np.ndarray] = {}  # measure → dealt lengths, [types, draws], of norm 1 on the tokens
        for key, basis in self.bases.items():
            left = residuals(lengths.astype(np.float64)[None], basis)[0]
            self.lengths[key] = left / np.linalg.norm(left)
            values = dealt(self.types.means(left), draws, rng)
            explained = self.types.sums(basis.T) @ values
            self.chance[key] = values / np.sqrt(self.types.sizes @ values**2 - (explained**2).sum(axis=0))
        self.chance["r_types"] = dealt(self.length_of_type, draws, rng)
        self.drawn = {
            "sequences": multiplicities(len(self.sequences), draws, rng),
            "types": multiplicities(len(self.types), draws, rng),
        }

    def of_neurons(self, rows: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """r of neurons [neurons, tokens]: (measure, kind) → [neurons, draws], of one draw where observed."""
        found = {}
        constant = (rows == rows[:, :1]).all(axis=1)
        for measure, basis in self.bases.items():
            left = unit(residuals(rows, basis))
            left[constant] = np.nan
            found[measure, "observed"] = (left @ self.lengths[measure])[:, None]
            found[measure, "chance"] = self.types.sums(left) @ self.chance[measure]
            if measure in RESAMPLED:
                for kind in self.drawn:
                    groups = getattr(self, kind)
                    found[measure, kind] = resampled_pearson(left, self.lengths[measure], groups.sums, self.drawn[kind])
                found[measure, "tokens"] = self._tokens_drawn(left, self.lengths[measure])
        of_types = unit(self.types.means(rows))
        of_types[constant] = np.nan
        found["r_types", "observed"] = (of_types @ self.length_of_type)[:, None]
        found["r_types", "chance"] = of_types @ self.chance["r_types"]
        return found

    def _tokens_drawn(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """A few draws at once, since each has a number for every token."""
        at_once = max(1, BLOCK_BYTES // (8 * len(lengths)))
        parts = []
        for start in range(0, self.draws, at_once):
            rng = np.random.default_rng([self.seed, start])
            drawn = rng.poisson(1, (len(lengths), min(at_once, self.draws - start))).astype(np.float64)
            parts.append(resampled_pearson(rows, lengths, lambda values: values, drawn))
        return np.hstack(parts)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [..., n] less their mean, of length one; NaN for a row that does not vary."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return centred / np.linalg.norm(centred, axis=-1, keepdims=True)


def two_way_std(sequences: np.ndarray, types: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Standard error of a statistic whose tokens are alike within a sequence and within a type.

    The variances from drawing sequences and from drawing types anew, less that from drawing tokens, which both hold
    (Cameron, Gelbach and Miller 2011); at least the larger of the two.

    Args:
        sequences, types, tokens: standard deviations over the draws of each.
    """
    both = sequences**2 + types**2 - tokens**2
    return np.sqrt(np.maximum(both, np.maximum(sequences, types) ** 2))


def p_of_chance(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Two-sided p of r [neurons] against its draws of chance [neurons, draws], whose tails are taken as Student's t.

    A count of draws could not tell p below 1 / draws apart, as testing thousands of neurons at once needs.
    """
    spread = chance.std(axis=1, ddof=1)
    return 2 * stats.t.sf(np.abs(observed - chance.mean(axis=1)) / spread, chance.shape[1] - 1)


def summaries_over_neurons(r: np.ndarray) -> pd.DataFrame:
    """Summaries over neurons of each draw of r [neurons, draws]; neurons without r are left out."""
    r = r[~np.isnan(r).any(axis=1)]
    table: dict[str, Any] = {"draw": np.arange(r.shape[1], dtype=np.int32)}
    if not len(r):
        return pd.DataFrame(table).assign(mean=np.nan, median=np.nan, std=np.nan, fraction_positive=np.nan)
    table |= {"mean": r.mean(axis=0), "median": np.median(r, axis=0), "std": r.std(axis=0, ddof=min(1, len(r) - 1))}
    return pd.DataFrame(table | {"fraction_positive": (r > 0).mean(axis=0)})
