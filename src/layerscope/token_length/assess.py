"""One layer's r with token length held against its confounds, against chance, and with parts of the text left out.

Length is a property of the token type, so the types, not the tokens, are what chance may exchange.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr  # scipy.stats takes longer to import than a layer to assess

from layerscope.extract.activation_shards import LayerReader
from layerscope.partial import control_basis, residuals
from layerscope.resampling import Groups, LeftOutPearson, effective_number, left_out_of_text, two_way_error, unit
from layerscope.statistics import varies
from layerscope.token_length import SITE
from layerscope.token_length.confounds import CONFOUNDS, confounds_of
from layerscope.token_length.groups import TokenLengths, token_lengths
from layerscope.token_length.summaries import MEASURES, RESAMPLED, SHIFT, STATISTICS

BLOCK_BYTES = 32 << 20  # of float64 held at once, of neurons
CONTROLS = {"r": (), "r_given_frequency": ("log_frequency",), "r_given_all": CONFOUNDS}
WEAK = 0.2  # |r| below which a correlation is called weak


def assess_layer(
    shards: list[str], vocabulary: pd.DataFrame, frequency: pd.DataFrame, layer: int, draws: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assess one layer; tables as :func:`assess` gives.

    Args:
        shards: activation shards of the sample, in order.
        vocabulary: table of :func:`layerscope.tokenize.vocabulary.vocabulary_table`.
        frequency: table of :func:`layerscope.tokenize.frequency.frequency_table`.
        layer: which one.
        draws: of chance.
        seed: of the random numbers.

    Raises:
        UserError: a shard is damaged, or they and the tables of their tokens are not of one run.
    """
    with LayerReader(shards, SITE, layer, [vocabulary, frequency]) as reader:
        tokens = reader.tokens()
        sample = token_lengths(vocabulary, tokens.input_ids)
        controls = confounds_of(vocabulary, frequency, tokens)[sample.keep]
        layer_draws = LayerDraws(
            sample, tokens.input_ids[sample.keep], tokens.sequence[sample.keep], controls, draws, seed
        )
        block = max(1, BLOCK_BYTES // (8 * len(sample.keep)))
        return assess(
            layer_draws,
            (
                reader.columns(start, min(start + block, reader.width))[:, sample.keep].astype(np.float64)
                for start in range(0, reader.width, block)
            ),
        )


def assess(draw: "LayerDraws", blocks: Iterable[np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assess the neurons of a layer, given block after block as [neurons, tokens].

    Chance deals the lengths of the sample's types anew to its types; of a partial r it deals what the controls leave of
    them (Freedman and Lane 1983). For intervals, sequences, types and random parts of the tokens are left out in turn,
    with the fit of the controls kept; :func:`layerscope.resampling.two_way_error` puts the three together.

    Returns:
        The table of neurons: ``neuron``, the four ``MEASURES``, ``r_std_error``, ``p`` and ``p_given_all``
        (two-sided, against chance); and the table of draws, of r over neurons: ``measure``, ``kind`` (``observed``,
        ``chance``, or what was left out: ``sequences``, ``types``, ``tokens``), ``draw``, ``mean``, ``median``,
        ``std``, ``fraction_positive`` and ``fraction_weakly_negative`` (-0.2 < r < 0). Its measure ``shift`` has only a
        mean: of long less short tokens, in each neuron's standard deviation. ``tokens``, ``types``,
        ``types_effective`` and ``sequences`` of the sample are in both. Neurons that never vary have no r.
    """
    parts, average, varying = [], np.zeros(draw.tokens), 0
    for rows in blocks:
        parts.append(draw.of_neurons(rows))
        standard = unit(rows[varies(rows)]) * np.sqrt(draw.tokens)
        average += standard.sum(axis=0)
        varying += len(standard)
    r = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    neurons = pd.DataFrame({"neuron": np.arange(len(r["r", "observed"]), dtype=np.int32)})
    for measure in MEASURES:
        neurons[measure] = r[measure, "observed"][:, 0]
    neurons["r_std_error"] = two_way_error(*(r["r", kind] for kind in draw.left_out))
    for suffix in ("", "_given_all"):
        neurons[f"p{suffix}"] = p_of_chance(r[f"r{suffix}", "observed"][:, 0], r[f"r{suffix}", "chance"])
    tables = [
        summaries_over_neurons(values).assign(measure=measure, kind=kind) for (measure, kind), values in r.items()
    ]
    tables += [
        pd.DataFrame({"draw": np.arange(len(values), dtype=np.int32), "mean": values, "measure": SHIFT, "kind": kind})
        for kind, values in draw.shift(average / max(1, varying)).items()
    ]
    drawn = pd.concat(tables, ignore_index=True).assign(**draw.counts)
    drawn.loc[drawn["measure"] == SHIFT, "types_effective"] = draw.types_effective_of_groups
    return neurons.assign(**draw.counts), drawn


class LayerDraws:
    """What chance draws and what is left out, the same for every neuron, layer and model that reads the same tokens.

    Args:
        sample: lengths of the tokens.
        types: [tokens], token ids.
        sequences: [tokens], numbers of the sequences.
        controls: the confounds, a row a token.
        draws: how many.
        seed: of the random numbers.
    """

    def __init__(
        self,
        sample: TokenLengths,
        types: np.ndarray,
        sequences: np.ndarray,
        controls: pd.DataFrame,
        draws: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        lengths = sample.lengths.astype(np.float64)
        self.tokens = len(lengths)
        self.types = Groups(types)
        self.left_out = left_out_of_text(sequences, types, rng)
        self.counts = {
            "tokens": self.tokens,
            "types": len(self.types),
            "types_effective": effective_number(types),
            "sequences": len(np.unique(sequences)),
        }
        # A difference of two means is as sure as the less sure of them.
        self.types_effective_of_groups = min(effective_number(types[sample.group == group]) for group in (0, 2))
        self.length_of_type = unit(lengths[self.types.first])
        self.group = sample.group
        self.group_by_chance = dealt(sample.group[self.types.first], draws, rng)
        self.bases = {key: control_basis(controls[list(names)].to_numpy()) for key, names in CONTROLS.items()}
        self.lengths: dict[str, np.ndarray] = {}  # measure → what its controls leave of the lengths, [tokens]
        self.chance: dict[str, np.ndarray] = {}  # measure → dealt lengths, [types, draws], of norm 1 on the tokens
        for key, basis in self.bases.items():
            left = residuals(lengths[None], basis)[0]
            values = dealt(self.types.means(left), draws, rng)
            explained = self.types.sums(basis.T) @ values
            with np.errstate(invalid="ignore"):  # NaN where the controls explain length wholly: there is no partial r
                self.lengths[key] = left / np.linalg.norm(left)
                self.chance[key] = values / np.sqrt(self.types.sizes @ values**2 - (explained**2).sum(axis=0))
        self.chance["r_types"] = dealt(self.length_of_type, draws, rng)
        self.left_out_r = {
            (key, kind): LeftOutPearson(left_out, self.lengths[key], np.ones(self.tokens, dtype=bool))
            for key in RESAMPLED
            for kind, left_out in self.left_out.items()
        }

    def of_neurons(self, rows: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """r of neurons [neurons, tokens]: (measure, kind) → [neurons, draws], of one draw where observed."""
        found = {}
        constant = ~varies(rows)
        for measure, basis in self.bases.items():
            left = unit(residuals(rows, basis))
            left[constant] = np.nan
            found[measure, "observed"] = (left @ self.lengths[measure])[:, None]
            found[measure, "chance"] = self.types.sums(left) @ self.chance[measure]
            if measure in RESAMPLED:
                for kind in self.left_out:
                    found[measure, kind] = self.left_out_r[measure, kind].of(left)
        of_types = unit(self.types.means(rows))
        of_types[constant] = np.nan
        found["r_types", "observed"] = (of_types @ self.length_of_type)[:, None]
        found["r_types", "chance"] = of_types @ self.chance["r_types"]
        return found

    def shift(self, activation: np.ndarray) -> dict[str, np.ndarray]:
        """Mean ``activation`` [tokens] of long tokens less that of short ones: kind → [draws], of one where observed.

        NaN where a group has no tokens.
        """
        found = {}
        long, short = ((self.group == group).astype(np.float64) for group in (2, 0))
        with np.errstate(invalid="ignore"):
            found["observed"] = np.array([activation @ long / long.sum() - activation @ short / short.sum()])
            of_types = self.types.sums(activation)
            long_by_chance, short_by_chance = (self.group_by_chance == group for group in (2, 0))
            found["chance"] = (of_types @ long_by_chance) / (self.types.sizes @ long_by_chance) - (
                of_types @ short_by_chance
            ) / (self.types.sizes @ short_by_chance)
            for kind, left_out in self.left_out.items():
                above, below = (left_out.sums(activation * group) / left_out.sums(group) for group in (long, short))
                found[kind] = above - below
        return found


def dealt(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """``values`` [types] in ``draws`` random orders: [types, draws]."""
    return rng.permuted(np.repeat(values[:, None], draws, axis=1), axis=0)


def p_of_chance(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Two-sided p of r [neurons] against its draws of chance [neurons, draws], whose tails are taken as Student's t.

    A count of draws could not tell p below 1 / draws apart, as testing thousands of neurons at once needs.
    """
    spread = chance.std(axis=1, ddof=1)
    return 2 * stdtr(chance.shape[1] - 1, -np.abs(observed - chance.mean(axis=1)) / spread)


def summaries_over_neurons(r: np.ndarray) -> pd.DataFrame:
    """Summaries over neurons of each draw of r [neurons, draws], as STATISTICS; neurons without r are left out."""
    r = r[~np.isnan(r).any(axis=1)]
    table: dict[str, Any] = {"draw": np.arange(r.shape[1], dtype=np.int32)}
    if not len(r):
        return pd.DataFrame(table).assign(**dict.fromkeys(STATISTICS, np.nan))
    table |= {"mean": r.mean(axis=0), "median": np.median(r, axis=0), "std": r.std(axis=0, ddof=min(1, len(r) - 1))}
    table |= {
        "fraction_positive": (r > 0).mean(axis=0),
        "fraction_weakly_negative": ((r < 0) & (r > -WEAK)).mean(axis=0),
    }
    return pd.DataFrame(table)
