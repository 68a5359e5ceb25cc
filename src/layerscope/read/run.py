"""What a run wrote, as tables: the object that ``layerscope.open`` gives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from layerscope.io.errors import UserError
from layerscope.read.activations import StoredActivations, width_of
from layerscope.read.arguments import chosen, number, numbers
from layerscope.read.folder import ResultsFolder
from layerscope.read.matches import best_matches
from layerscope.read.neurons import neurons_of_layer
from layerscope.read.summaries import summary_table
from layerscope.read.texts import tokens_table, with_surroundings
from layerscope.studies.token_length.token_types import TYPES_KEPT as TOP
from layerscope.tokenize.token_shards import Tokens, read_token_shards

Neurons = int | Sequence[int] | None  # None: all of the layer


class Run:
    """A folder of results, read by name of model, layer and neuron.

    Only what is asked for is read, and checked against its digest. Layers and neurons are counted from 0. For a name or
    number that there is not, and for a file that is missing or damaged, every method raises
    :class:`layerscope.io.errors.UserError`, one line. What each statistic is, docs/statistics.md defines.

    Args:
        results: the folder that the config key ``results`` names.
        corpus: name of a corpus, where the folder has tokens of several.

    Attributes:
        models: names of the models of these studies, and of those of which something is kept.
        studies: names of the studies that ended.
        corpus: name of the corpus; None where no study read one.
    """

    def __init__(self, results: str | Path, corpus: str | None = None) -> None:
        self._folder = ResultsFolder(results, corpus)
        self._stored = StoredActivations()
        self._matches: dict[tuple[str, str], pd.DataFrame] = {}
        self.path = self._folder.path
        self.models = list(self._folder.depths)
        self.studies = self._folder.studies
        self.corpus = self._folder.corpus

    def __repr__(self) -> str:
        ended = "" if self._folder.finished else ", not finished"
        studies = ", ".join(self.studies) or "no study"
        lines = [f"layerscope run in {self.path}{ended}: {studies}; corpus {self.corpus}"]
        for model in self.models:
            sites = ", ".join(self.sites(model))
            lines.append(f"  {model}: {self._folder.depths[model]} layers" + (f", stored {sites}" if sites else ""))
        return "\n".join(lines)

    def layers(self, model: str) -> list[int]:
        """Numbers of the layers of a model."""
        return list(range(self._folder.depths[self._folder.model(model)]))

    def sites(self, model: str) -> list[str]:
        """Sites of a model whose activations are stored; none where they were deleted."""
        return self._folder.sites(model)

    def summarized_sites(self, model: str) -> list[str]:
        """Sites of a model that have summaries, for :meth:`summary`."""
        return self._folder.summarized_sites(model)

    def tables(self) -> list[str]:
        """Names of all tables that the run wrote, for :meth:`table`."""
        return self._folder.tables()

    def table(self, name: str) -> pd.DataFrame:
        """Any table of the results, such as ``token_length/evidence.csv``; docs/file-formats.md lists their columns."""
        return self._folder.table(name)

    def claims(self) -> pd.DataFrame:
        """The claims of all studies, with effects, intervals and verdicts: claims.csv."""
        return self.table("claims.csv")

    def vocabulary(self, model: str) -> pd.DataFrame:
        """One row per token type of a model's tokenizer: ``token_id``, ``text``, ``characters`` and more.

        ``count`` is in the sample, and ``corpus_count`` in the counted part of the corpus.
        """
        return self._folder.vocabulary(model).copy()

    def tokens(self, model: str) -> pd.DataFrame:
        """All tokens of the sample that a model read, in the order of the corpus.

        Returns:
            One row per token: ``sequence``, ``position`` within it, ``document``, ``token_id``, ``text`` (the token
            decoded alone) and ``takes_part`` (whether it is in the statistics: no special token or piece of a
            character).
        """
        vocabulary = self._folder.vocabulary(model)
        tokens, _ = read_token_shards(self._folder.token_shards(model), [vocabulary])
        return tokens_table(tokens, vocabulary)

    def activations(self, model: str, layer: int, neuron: Neurons = None, site: str = "mlp_pre") -> pd.DataFrame:
        """Activations at all tokens of the stored sample.

        The first call for a layer reads all of it, to compare its digest, and later ones only the neurons asked for.

        Args:
            neuron: one, a list, or None for all.
            site: one of :meth:`sites`.

        Returns:
            The columns of :meth:`tokens`, and ``activation`` (float32, in the model's own unit), or for several neurons
            one column each, whose name is the neuron's number.
        """
        tokens, values, names = self._activations(model, layer, neuron, site)
        table = tokens_table(tokens, self._folder.vocabulary(model))
        if isinstance(neuron, int | np.integer):
            return table.assign(activation=values[:, 0])
        return pd.concat([table, pd.DataFrame(values, columns=names)], axis=1)

    def activation_array(self, model: str, layer: int, neuron: Neurons = None, site: str = "mlp_pre") -> np.ndarray:
        """The same activations without their tokens: float32 [tokens, neurons]."""
        return self._activations(model, layer, neuron, site)[1]

    def summary(self, model: str, layer: int, site: str = "mlp_pre") -> pd.DataFrame:
        """Moments and range of each unit of a site, over all tokens of the sample that take part in statistics.

        Args:
            site: one of :meth:`summarized_sites`.

        Returns:
            One row per unit: ``unit``, ``mean``, ``std`` (n − 1), ``skewness``, ``kurtosis`` (excess; both NaN where a
            unit does not vary), ``minimum``, ``maximum``, and ``tokens``, how many they rest on.
        """
        summaries = self._folder.summaries(model, site)
        return summary_table(summaries, site, self._folder.layer(model, layer), self._folder.vocabulary(model))

    def neurons(self, model: str | None = None, layer: int | None = None) -> pd.DataFrame:
        """All neurons of token_length with what was measured of each, of one layer, one model or all.

        Returns:
            One row per neuron: ``model``, ``layer``, ``relative_depth``, ``neuron``, and

            - ``r``, ``r_low``, ``r_high``: Pearson's r with token length and its 95% interval for other documents;
              ``r_null_low``, ``r_null_high``: 95% band of its null; ``p``
            - ``r_given_frequency``, ``r_given_all``: partial r given log frequency, and given all confounds;
              ``p_given_all``
            - ``r_types``, ``r_types_low``, ``r_types_high``: over token types, with the interval for new types
            - ``r_spearman``: by ranks, in the stored sample
            - ``mean``, ``std``, ``minimum``, ``maximum`` (activation), ``skewness``, ``kurtosis`` over tokens;
              ``mean_short``, ``mean_median``, ``mean_long`` of length groups
            - ``icc``: share of the variance that is between token types; ``dip_…`` and ``p_dip_…`` over ``tokens``,
              ``short_tokens``, ``types``, ``short_types``; ``bimodality_tokens``, ``bimodality_short_tokens``
            - ``match_model``, ``match_layer``, ``match_neuron``, ``match_r``: the neuron of the model that it is paired
              with (the first of :meth:`matches`) that correlates best with it; missing where there is no pair
            - ``norm_in``, ``norm_out``: L2 norms of input and output weights, and ``cosine_in_out`` between them;
              missing where the run has no tables of weights
        """
        if model is None and layer is not None:
            raise UserError(f"layer: {layer!r} is of no model; name one, such as {self.models[0]}")
        models = self._folder.models_of.get("token_length", []) if model is None else [model]
        if not models:
            raise UserError(f"{self.path}: no token_length in it; run with studies.token_length in the config")
        parts = []
        for name in models:
            layers = self.layers(name) if layer is None else [self._folder.layer(name, layer)]
            others = self._folder.matched(name)
            matches = self._best_matches(name, others[0]) if others else None
            parts += [neurons_of_layer(self._folder, name, number, matches) for number in layers]
        return pd.concat(parts, ignore_index=True)

    def by_length(self, model: str, layer: int, neuron: Neurons = None) -> pd.DataFrame:
        """Mean activation of neurons at tokens of each length, in the stored sample.

        Returns:
            One row per neuron and length: ``neuron``, ``length`` (characters), ``tokens``, ``mean``, and ``low``,
            ``high``, its 95% interval for other documents.
        """
        return self._of_neurons("by_length", model, layer, neuron)

    def histogram(self, model: str, layer: int, neuron: Neurons = None) -> pd.DataFrame:
        """Histogram of each neuron over the stored sample, by length group.

        Returns:
            One row per neuron and bin: ``neuron``, ``left``, ``right`` (activation), and the tokens in it that are
            shorter than, equal to and longer than the median: ``short``, ``median``, ``long``.
        """
        return self._of_neurons("neuron_histogram", model, layer, neuron)

    def top_tokens(self, model: str, layer: int, neuron: int, n: int = TOP, largest: bool = True) -> pd.DataFrame:
        """The token types at which a neuron is most active on average, over all tokens of the sample.

        Args:
            n: how many, at most 10; the tables hold no more.
            largest: else those at which it is least active.

        Returns:
            One row per type, the most extreme first: ``token_id``, ``text``, ``tokens`` (how many there are in the
            sample) and ``mean`` (activation). Rare types are left out (docs/file-formats.md).
        """
        kind = "top" if largest else "bottom"
        return self._types("token_types", model, layer, neuron, n, kind)[["token_id", "text", "tokens", "mean"]]

    def promoted_tokens(self, model: str, layer: int, neuron: int, n: int = TOP, promoted: bool = True) -> pd.DataFrame:
        """The token types whose logits a neuron's output weights raise most, directly.

        Args:
            n: how many, at most 10; the tables hold no more.
            promoted: else those that they lower most.

        Returns:
            One row per type, the most extreme first: ``token_id``, ``text`` and ``logit``, what one unit of its output
            adds.
        """
        kind = "promoted" if promoted else "suppressed"
        return self._types("logits", model, layer, neuron, n, kind)[["token_id", "text", "logit"]]

    def contexts(self, model: str, layer: int, neuron: Neurons = None, kind: str | None = None) -> pd.DataFrame:
        """Tokens at which neurons are most and least active, at quantiles of their activation and at random.

        Args:
            kind: ``most``, ``least``, ``quantile_10`` to ``quantile_90`` or ``random``; None: all.

        Returns:
            One row per neuron and context: ``neuron``, ``kind``, ``rank`` within it from 0, ``sequence``, ``position``,
            ``document``, ``token_id``, ``value`` (activation), ``before`` (up to 15 tokens), ``text`` (the token) and
            ``after`` (up to 5 tokens); and, if the run wrote it, ``window``, a list of activations at these 21 tokens,
            NaN outside the sequence (``np.stack`` makes an array of several).
        """
        table = self._of_neurons("contexts", model, layer, neuron)
        if kind is not None:
            kind = chosen("kind", kind, list(table["kind"].unique()), "contexts")
            table = table[table["kind"] == kind]
        found = with_surroundings(table, self._folder.token_shards(model), self._folder.vocabulary(model))
        columns = ["neuron", "kind", "rank", "sequence", "position", "document", "token_id", "value"]
        columns += ["before", "text", "after", "window"]
        return found.filter(columns).reset_index(drop=True)

    def matches(self, model: str) -> pd.DataFrame:
        """The best match of each neuron among all neurons of each model that a model is paired with.

        Returns:
            One row per other model and neuron: ``model``, ``layer``, ``neuron``, ``other``, ``other_layer``,
            ``other_neuron``, ``r`` with it over the same tokens, and ``r_rotated``, the best with a unit of rotated
            layers, averaged over rotations: what chance gives; only if the model is the first of the pair. All missing
            for a neuron that never varies.
        """
        if not (others := self._folder.matched(model)):
            raise UserError(f"{self.path}: no matches of {model}; it is in no pair of studies.token_length.pairs")
        return pd.concat([self._best_matches(model, other) for other in others], ignore_index=True)

    def _best_matches(self, model: str, other: str) -> pd.DataFrame:
        if (model, other) not in self._matches:
            self._matches[model, other] = best_matches(self._folder.match_tables(model, other), model, other)
        return self._matches[model, other]

    def _of_neurons(self, kind: str, model: str, layer: int, neuron: Neurons) -> pd.DataFrame:
        """The rows of some neurons in a table of token_length that has several of each."""
        table = self._folder.of_layer(kind, model, layer)
        wanted = numbers("neuron", neuron, self._count(model, layer), f"layer {layer} of {model}")
        return table if neuron is None else table[table["neuron"].isin(wanted)].reset_index(drop=True)

    def _count(self, model: str, layer: int) -> int:
        """How many neurons a layer has."""
        return len(self._folder.of_layer("layer", model, layer))

    def _types(self, table: str, model: str, layer: int, neuron: int, n: int, kind: str) -> pd.DataFrame:
        """The first ``n`` token types of a kind, and their texts, in a table of the ten most extreme of each neuron."""
        if n not in range(1, TOP + 1):
            raise UserError(f"n: a run keeps {TOP} token types of each end, so give 1 to {TOP}, not {n!r}")
        number("neuron", neuron, self._count(model, layer), f"layer {layer} of {model}")  # one alone
        types = self._of_neurons(table, model, layer, neuron)
        rows = types[types["kind"] == kind].sort_values("rank", ignore_index=True).head(n)
        return rows.assign(text=self._folder.vocabulary(model)["text"].take(rows["token_id"]).array)

    def _activations(self, model: str, layer: int, neuron: Neurons, site: str) -> tuple[Tokens, np.ndarray, list[int]]:
        """Tokens of the stored sample, float32 [tokens, neurons], and the numbers of these neurons."""
        layer, shards = self._folder.layer(model, layer), self._folder.shards(model)
        site = chosen("site", site, self.sites(model), f"{self.path}/activations of {model}")
        wanted = numbers("neuron", neuron, width_of(shards[0], site, layer), f"layer {layer} of {model}")
        return *self._stored.read(shards, site, layer, wanted, self._folder.vocabulary(model)), wanted
