"""The configuration: what keys there are, what they may hold, and one clear line for each that is wrong."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from layerscope.duplicated_keys import duplicated_keys
from layerscope.mistakes import Mistakes, Unknown
from layerscope.planning import at
from layerscope.preflight import check_local_sources
from layerscope.problems import line_of, what_is_left
from layerscope.references import check_layers_exist, check_references

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]  # it goes into lines
LARGEST_SEED = 2**63 - 1  # shards store it as a 64-bit integer


def _with_home(path: str) -> str:
    """A path whose ``~`` at the start is the home folder; of no user here, it stays, and is no path."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return path


def _one_error(value: Any, validate: Callable[[Any], Any]) -> Any:
    """One error for a value that fits neither branch of a union, where pydantic gives one a branch."""
    try:
        return validate(value)
    except ValidationError:
        raise PydanticCustomError("count_or_auto", "input should be 'auto' or an integer of at least 1") from None


LocalPath = Annotated[Text, AfterValidator(_with_home)]
Layer = Annotated[int, Field(ge=0)]
Pair = Annotated[list[Name], Field(min_length=2, max_length=2)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
CountOrAuto = Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], WrapValidator(_one_error)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:  # taken away by what_is_left
                raise Unknown(name)
            return super().__getattr__(name)


class Source(Section):
    source: LocalPath = Field(description="Hub id (owner/name), or a local folder or file.")
    revision: Text | None = Field(None, description="Branch, tag or commit on the hub; default: the newest.")


class Model(Source):
    """A causal language model: a local folder or a hub repository with safetensors weights."""

    tokenizer: Name = Field(description="Name of the tokenizer, from `tokenizers`.")
    layers: int = Field(ge=1, le=999, description="Number of blocks; checked against the model itself.")
    weights: Literal["trained", "random"] = Field(
        "trained", description="random: the same architecture, not trained; a control."
    )


class Tokenizer(Source):
    """A tokenizer in the format of the tokenizers library (tokenizer.json)."""


class Corpus(Source):
    """A named source of documents."""

    subset: Text | None = Field(None, description="Configuration of a hub data set, e.g. sample-10BT.")
    split: Text = Field("train", description="Split of a hub data set.")
    text_field: Text = Field("text", description="Field that holds a document's text.")


class Sampling(Section):
    """How many tokens are analysed: sequences x sequence_length."""

    sequences: int = Field(16, ge=1, description="Sequences in all; a multiple of sequences_per_shard.")
    sequence_length: int = Field(512, ge=2, description="Tokens a sequence.")
    sequences_per_shard: int = Field(8, ge=1, description="Sequences a file; one extraction job each.")

    @property
    def shards(self) -> int:
        return self.sequences // self.sequences_per_shard


class Extraction(Section):
    """How activations are computed and stored."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one.")
    dtype: Literal["float32", "float16", "bfloat16"] = Field("float32", description="Compute precision.")
    batch_size: CountOrAuto = Field("auto", description="Sequences a pass.")
    storage_dtype: Literal["float32", "float16"] = Field("float32", description="Stored precision.")
    compression: Literal["none", "lzf", "gzip"] = Field("none", description="HDF5 compression of shards.")


class Study(Section):
    figures: ClassVar[tuple[str, ...]]  # one for each model, called {figure}_{model}

    models: list[Name] = Field(min_length=1, description="Names from `models`, in the order of the figures.")


class TokenLength(Study):
    """MLP pre-activations of every layer against the length of the token in characters."""

    figures = ("activations", "r_by_layer", "r_confounds", "modes")

    corpus: Name = Field(description="Name from `corpora`.")
    histogram_layer: Layer | None = Field(
        None, description="Layer whose activations are drawn by length group; default: the middle one."
    )
    histogram_bins: int = Field(2048, ge=16, le=65536, description="Bins of the activation histograms.")
    frequency_tokens: int = Field(
        1_000_000, ge=1, description="Tokens of the corpus that are counted for the frequency of each."
    )
    pairs: list[Pair] | None = Field(
        None,
        description="Pairs of `models` with one tokenizer, whose neurons are matched and profiles compared; default: "
        "the trained ones that are neighbours in number of layers.",
    )
    frequency_control: Literal["spline", "line"] = Field(
        "spline", description="How frequency is taken out: spline: along a curve of its logarithm; line: a line."
    )
    draws: int = Field(200, ge=100, le=10_000, description="Draws of the nulls, and made-up neurons with one mode.")
    seed: Seed = Field(0, description="Seed of the draws.")


class TokenSimilarity(Study):
    """Similarity of the dimensions of Q, K and V of a target token, over sentences that hold it."""

    figures = ("cosines", "cosines_centred", "cosine_spread", "qkv_moments", "matrix")

    sentences: LocalPath = Field(description="Text file, one sentence a line.")
    target: Text = Field(description="The word that every sentence holds, without spaces around it.")
    seed: Seed = Field(0, description="Draws the non-target token of each sentence.")
    matrix_layer: Layer | None = Field(
        None, description="Layer whose matrix of cosines is drawn; default: the middle one."
    )


class PathLength(Study):
    """How far attention, MLP and the residual stream move per layer and token."""

    figures = ("path_lengths", "path_r")

    corpus: Name = Field(description="Name from `corpora`.")
    streams: Literal["reduced", "stored"] = Field(
        "reduced", description="reduced: keep only lengths while extracting; stored: keep the streams in shards."
    )
    drop_first_token: bool = Field(True, description="Draw means without the first token of each sequence.")


class Studies(Section):
    """Which studies run; one that is left out or null does not."""

    token_length: TokenLength | None = None
    token_similarity: TokenSimilarity | None = None
    path_length: PathLength | None = None

    def run(self) -> dict[str, Any]:
        """The studies that run, by name."""
        return {name: study for name, study in self if study}


class Config(Section):
    """The whole configuration of the workflow."""

    models: dict[Name, Model] = Field(min_length=1)
    tokenizers: dict[Name, Tokenizer] = Field(min_length=1)
    corpora: dict[Name, Corpus] = Field(min_length=1)
    sampling: Sampling = Sampling()
    extraction: Extraction = Extraction()
    studies: Studies

    def models_of(self, study: Study) -> dict[str, Model]:
        """The models of a study by name, without those that there are not."""
        return {name: model for name in getattr(study, "models", ()) if (model := self.models.get(name))}


def load_config(raw: dict[str, Any], files: Iterable[str | Path] = ()) -> Config:
    """Validate the merged configuration, and fill in what follows from the models.

    Args:
        files: those it was read from. Of a key that is duplicated, YAML silently takes the last.

    Raises:
        UserError: one line for each mistake that can be known before any job, with the key, its value and what is
            allowed.
    """
    mistakes = Mistakes()
    files = list(files)
    for file in files:
        with at(file):
            mistakes.add(*duplicated_keys(file))
    try:
        with at(", ".join(map(str, files))):
            config = Config.model_validate(raw)
    except ValidationError as error:
        problems = error.errors()
        mistakes.add(*(line_of(problem, Config) for problem in problems))
        config = what_is_left(Config, raw, {problem["loc"] for problem in problems})
    check_references(config, mistakes)
    layers = check_local_sources(config, mistakes)
    check_layers_exist(config, layers, mistakes)
    mistakes.raise_all()
    return _filled_in(config)


def _filled_in(config: Config) -> Config:
    """The configuration with what its studies left out and follows from their models."""
    studies = {}
    for key, study in config.studies.run().items():
        models = config.models_of(study)
        middle = min(model.layers for model in models.values()) // 2
        follows = {"histogram_layer": middle, "matrix_layer": middle, "pairs": list(_neighbours(models))}
        left_out = {name: value for name, value in follows.items() if getattr(study, name, value) is None}
        studies[key] = study.model_copy(update=left_out)
    return config.model_copy(update={"studies": config.studies.model_copy(update=studies)})


def _neighbours(models: dict[str, Model]) -> Iterator[list[str]]:
    """Pairs of trained models that read the same tokens: each with the next by number of layers."""
    trained = {name: model for name, model in models.items() if model.weights == "trained"}
    for tokenizer in dict.fromkeys(model.tokenizer for model in trained.values()):
        sharing = [name for name, model in trained.items() if model.tokenizer == tokenizer]
        yield from map(list, pairwise(sorted(sharing, key=lambda name: trained[name].layers)))


def schema() -> str:
    """The JSON schema of the configuration, as it stands in workflow/schemas/config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
