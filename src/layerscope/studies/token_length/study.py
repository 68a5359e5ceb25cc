"""The study as the workflow sees it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from layerscope.config.mistakes import Mistakes
from layerscope.config.sections import FREQUENCY_TOKENS, CorpusStudySettings, Layer, Model, Pair, Properties, Seed
from layerscope.io.errors import UserError
from layerscope.studies.revisions import series_of
from layerscope.studies.study import Figure, Study
from layerscope.workflow.job_costs import JobCosts

if TYPE_CHECKING:
    from layerscope.workflow.model_size import ModelSize
    from layerscope.workflow.resources import Needs

LAYERS = "token_length/layers.csv"
EVIDENCE = "token_length/evidence.csv"
PROPERTIES = "token_length/properties.csv"
TABLE_BYTES, CONTEXT_BYTES, EXPLORER_BYTES = 4400, 3000, 1800  # of a neuron: all tables, its contexts, the explorer
VOCABULARY = "tokens/{tokenizer}/{corpus}/vocabulary.parquet"


class TokenLengthSettings(CorpusStudySettings):
    """MLP pre-activations of every layer against the length of the token in characters."""

    chosen_layers: ClassVar = ("histogram_layer",)

    histogram_layer: Layer | None = Field(
        None, description="Layer whose activations are drawn by length group; default: the middle one."
    )
    histogram_bins: int = Field(2048, ge=16, le=65536, description="Bins of the activation histograms.")
    frequency_tokens: int = Field(
        FREQUENCY_TOKENS,
        ge=1,
        description="Tokens of the corpus from which the frequency of each token type is counted.",
    )
    pairs: list[Pair] | None = Field(
        None,
        description="Pairs of `models` with one tokenizer, whose neurons are matched and profiles compared; default: "
        "the trained ones, each with the next by number of layers; of revisions of one model, each with the last.",
    )
    frequency_covariate: Literal["spline", "line"] = Field(
        "spline", description="How frequency is a covariate: spline: a curve of its logarithm; line: its logarithm."
    )
    properties: Properties = Field(
        [],
        description="Further properties of token types that neurons are correlated with: bytes, log_frequency, or "
        "columns of the tokenizers' tables.",
    )
    resamples: int = Field(
        200, ge=100, le=10_000, description="Resamples of the nulls, and simulated unimodal neurons."
    )
    seed: Seed = Field(0, description="Seed of the resamples.")

    def filled_in(self, models: Mapping[str, Model]) -> Self:
        filled = super().filled_in(models)
        return filled if self.pairs is not None else filled.model_copy(update={"pairs": list(_neighbours(models))})


def _neighbours(models: Mapping[str, Model]) -> Iterator[list[str]]:
    """Pairs of trained models that read the same tokens: each with the next by number of layers.

    Of revisions of one model each is paired with the last, and the last with the next model.
    """
    series = series_of(models)
    earlier = {name for one in series for name in one["models"][:-1]}
    trained = {name: model for name, model in models.items() if model.weights == "trained" and name not in earlier}
    for tokenizer in dict.fromkeys(model.tokenizer for model in trained.values()):
        sharing = [name for name, model in trained.items() if model.tokenizer == tokenizer]
        yield from map(list, pairwise(sorted(sharing, key=lambda name: trained[name].layers)))
    for one in series:
        *names, last = one["models"]
        yield from ([name, last] for name in names)


class TokenLength(Study):
    """MLP pre-activations of every layer against the length of the token in characters."""

    name = "token_length"
    title = "Token length"
    settings_type = TokenLengthSettings
    settings: TokenLengthSettings
    depends: ClassVar = {
        "correlate_token_length": ("histogram_bins",),
        "describe_neurons": (),
        "describe_weights": ("dtype",),
        "summarize_token_length": ("models",),
        "resample_token_length": ("resamples", "seed", "frequency_covariate"),
        "summarize_evidence": ("models",),
        "resample_properties": ("resamples", "seed", "frequency_covariate"),
        "summarize_properties": ("models",),
        "test_unimodality": ("resamples", "seed"),
        "simulate_dip_power": ("resamples", "seed", "stored_tokens"),
        "summarize_multimodality": ("models",),
        "match_neurons": ("seed",),
        "summarize_matches": ("pairs",),
        "correlate_profiles": ("pairs",),
        "correlate_confounds": (),
        "count_lengths": (),
        "evaluate_token_length_claims": ("models", "tokenizers", "pairs", "untrained"),
    }
    figures = (
        Figure(
            "r_across_models",
            "draw_r:draw_r_across_models",
            {"layers": LAYERS, "evidence": EVIDENCE},
            "correlation with token length on relative depth",
            along_revisions=True,
        ),
        Figure(
            "r_by_layer",
            "draw_distribution:draw_r_by_layer",
            {"tables": "token_length/{model}/layer_{layer}.parquet", "evidence": EVIDENCE},
            "distribution of r in each layer",
            along_revisions=True,
        ),
        Figure(
            "r_confounds",
            "draw_r:draw_r_confounds",
            {"evidence": EVIDENCE},
            "correlation given confounds, and over types",
            along_revisions=True,
        ),
        Figure("r_spread", "draw_r:draw_r_spread", {"evidence": EVIDENCE}, "spread of r", along_revisions=True),
        Figure(
            "r_properties",
            "draw_properties:draw_r_properties",
            {"evidence": EVIDENCE, "properties": PROPERTIES},
            "correlation with properties of tokens",
            along_revisions=True,
        ),
        Figure(
            "activations",
            "draw_sample:draw_activations",
            {
                "histograms": "token_length/{model}/histogram_{histogram_layer}.parquet",
                "standardised": "token_length/{model}/standardized_histogram_{histogram_layer}.parquet",
            },
            "activations by length group",
            settings={"layer": "histogram_layer"},
            along_revisions=True,
        ),
        Figure(
            "multimodality",
            "draw_multimodality:draw_multimodality",
            {"multimodality": "token_length/multimodality.csv"},
            "multimodal neurons",
            along_revisions=True,
        ),
        Figure(
            "matches",
            "draw_pairs:draw_matches",
            {"matches": "token_length/matches.csv"},
            "matched neurons",
            shows="pairs of models",
            along_revisions=True,
        ),
        Figure(
            "token_lengths", "draw_sample:draw_token_lengths", {"vocabularies": VOCABULARY}, "token lengths", "sample"
        ),
        Figure(
            "dip_power",
            "draw_multimodality:draw_dip_power",
            {"power": "token_length/dip_power_{tokenizer}.csv"},
            "power of the dip test",
            shows="sample",
        ),
    )

    @property
    def sites(self) -> tuple[str, ...]:
        return ("mlp_pre",)

    @property
    def summarized_sites(self) -> tuple[str, ...]:
        return ("mlp_pre",)

    def shard_reads(self, layer_jobs: Mapping[str, int]) -> int:
        # Four jobs per layer, or five with properties, and one per layer of the other model of a pair that reads both;
        # shards and manifests.
        matched = sum(layer_jobs[other] for _, other in self.settings.pairs or ())
        jobs = 5 if self.settings.properties else 4
        return 2 * jobs * sum(layer_jobs.values()) + 4 * matched

    def summary_reads(self, layer_jobs: Mapping[str, int]) -> int:
        jobs = 4 if self.settings.properties else 3
        return jobs * sum(layer_jobs.values())

    def costs(self, model: str, size: "ModelSize", needs: "Needs") -> Iterable[JobCosts]:
        of_neurons = {
            "describe_weights": needs.describe_weights(size, needs.threads_of(size)),
            "describe_neurons": needs.describe(size.mlp),
            "correlate_token_length": needs.correlate(size.mlp),
            "resample_token_length": needs.resample(size.mlp, self.settings.resamples),
            "test_unimodality": needs.test_unimodality(size.mlp, self.settings.resamples),
        }
        for rule, expected in of_neurons.items():
            yield JobCosts(rule, size.layers, expected, bytes=TABLE_BYTES * size.mlp / len(of_neurons))
        written = needs.explorer_layer(CONTEXT_BYTES * size.mlp)
        yield JobCosts("write_explorer_neurons", size.layers, written, bytes=EXPLORER_BYTES * size.mlp)

    @property
    def properties(self) -> list[str]:
        names: list[str] = self.settings.properties
        return names

    @property
    def stored_tokens(self) -> int:
        return self.sampling.stored * self.sampling.sequence_length

    @property
    def counted_tokens(self) -> int:
        tokens: int = self.settings.frequency_tokens
        return tokens

    def matched(self, model: str) -> str | None:
        """The model that the neurons of a model are matched with: of the first pair that begins with it, or ends."""
        pairs = self.settings.pairs or ()
        others = [*(second for first, second in pairs if first == model), *(one for one, end in pairs if end == model)]
        return next(iter(others), None)

    def match_tables(self, model: str) -> list[str]:
        """The tables of its matches with that model, in order; none if it is in no pair."""
        if (other := self.matched(model)) is None:
            return []
        if [model, other] in (self.settings.pairs or ()):
            return self.paths(f"token_length/{model}/matches_{other}_{{layer}}.parquet", model=other)
        return self.paths(f"token_length/{{model}}/best_in_{other}_{{layer}}.parquet", model=model)

    def drawn(self) -> tuple[Figure, ...]:
        without = set()
        if not self.settings.pairs:
            without |= {figure.name for figure in self.figures if figure.shows == "pairs of models"}
        if not self.settings.properties:
            without.add("r_properties")
        return tuple(figure for figure in self.figures if figure.name not in without)

    def tables(self) -> dict[str, str]:
        tables = super().tables() | {
            "vocabularies": VOCABULARY,
            "evidence": EVIDENCE,
            "multimodality": "token_length/multimodality.csv",
            "confounds": "token_length/confounds_{tokenizer}.csv",
            "dip_power": "token_length/dip_power_{tokenizer}.csv",
        }
        if self.settings.pairs:
            tables |= {"profiles": "token_length/profiles.csv", "matches": "token_length/matches.csv"}
        if self.settings.properties:
            tables["properties"] = PROPERTIES
        return tables

    def check_settings(self, tokenizers: Collection[str], mistakes: Mistakes) -> None:
        """Note pairs that are not of two of its models with one tokenizer."""
        names = self.settings.models
        if len(set(names)) == len(self.models) == len(names):  # else a pair may be right, and the list wrong
            for pair in self.settings.pairs or ():
                with mistakes:
                    self._check_pair(pair, tokenizers)

    def _check_pair(self, pair: list[str], tokenizers: Collection[str]) -> None:
        key = f"config: studies.{self.name}.pairs"
        for name in pair:
            if name not in self.models:
                raise UserError(f"{key}: '{name}' is not in the study's models; allowed are {', '.join(self.models)}")
        if pair[0] == pair[1]:
            raise UserError(f"{key}: '{pair[0]}' is paired with itself; name two models")
        one, other = (self.models[name].tokenizer for name in pair)
        if one != other and one in tokenizers and other in tokenizers:
            raise UserError(
                f"{key}: {pair[0]} and {pair[1]} read different tokens (tokenizers {one} and {other}); pair models "
                "with one tokenizer"
            )
