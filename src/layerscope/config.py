"""The configuration: what keys there are, what they may hold, and one clear line for each that is wrong."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from layerscope.errors import UserError
from layerscope.planning import at
from layerscope.preflight import check_local_sources

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]  # it goes into lines
MOST_SHARDS = 10_000  # their files have four digits


def _one_error(value: Any, validate: Callable[[Any], Any]) -> Any:
    """One error for a value that fits neither branch of a union, where pydantic gives one a branch."""
    try:
        return validate(value)
    except ValidationError:
        raise PydanticCustomError("count_or_auto", "input should be 'auto' or an integer of at least 1") from None


CountOrAuto = Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], WrapValidator(_one_error)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Section):
    source: Text = Field(description="Hub id (owner/name), or a local folder or file.")
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

    @model_validator(mode="after")
    def whole_shards(self) -> Self:
        if self.sequences % self.sequences_per_shard:
            more = -(-self.sequences // self.sequences_per_shard) * self.sequences_per_shard
            raise ValueError(
                f"sequences: {self.sequences} is not a multiple of sequences_per_shard "
                f"({self.sequences_per_shard}); {more} would be"
            )
        if self.shards > MOST_SHARDS:
            raise ValueError(
                f"sequences_per_shard: {self.sequences_per_shard} makes {self.shards} shards of {self.sequences} "
                f"sequences; at most {MOST_SHARDS} are allowed, so write at least "
                f"{-(-self.sequences // MOST_SHARDS)}"
            )
        return self

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
    models: list[Name] = Field(min_length=1, description="Names from `models`, in the order of the figures.")

    @model_validator(mode="after")
    def models_differ(self) -> Self:
        if len(set(self.models)) != len(self.models):
            raise ValueError(f"models: {self.models} names a model twice; name each once")
        return self


class TokenLength(Study):
    """MLP pre-activations of every layer against the length of the token in characters."""

    corpus: Name = Field(description="Name from `corpora`.")
    histogram_layer: int = Field(2, ge=0, description="Layer whose activations are drawn by length group.")
    histogram_bins: int = Field(2048, ge=16, le=65536, description="Bins of the activation histograms.")
    frequency_tokens: int = Field(
        1_000_000, ge=1, description="Tokens of the corpus that are counted for the frequency of each."
    )
    pairs: list[Annotated[list[Name], Field(min_length=2, max_length=2)]] = Field(
        [], description="Pairs of `models` with one tokenizer, whose neurons are matched and profiles compared."
    )
    draws: int = Field(200, ge=100, le=10_000, description="Draws of chance, and made-up neurons with one mode.")
    seed: int = Field(0, ge=0, description="Seed of the draws.")


class TokenSimilarity(Study):
    """Similarity of the dimensions of Q, K and V of a target token, over sentences that hold it."""

    sentences: Text = Field(description="Text file, one sentence a line.")
    target: Text = Field(description="The word that every sentence holds, without spaces around it.")
    seed: int = Field(0, ge=0, description="Draws the non-target token of each sentence.")
    matrix_layer: int = Field(0, ge=0, description="Layer whose matrix of cosines is drawn.")


class PathLength(Study):
    """How far attention, MLP and the residual stream move per layer and token."""

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

    @model_validator(mode="after")
    def names_exist(self) -> Self:
        for name, model in self.models.items():
            if name.endswith(".csv"):  # beside the folders of the models are the tables of all models
                raise ValueError(f"models: the name '{name}' may be that of a table; choose one that ends otherwise")
            _known(model.tokenizer, self.tokenizers, f"models.{name}.tokenizer", "tokenizers")
        for key, study in self.studies.run().items():
            if hasattr(study, "corpus"):
                _known(study.corpus, self.corpora, f"studies.{key}.corpus", "corpora")
            for name in study.models:
                _known(name, self.models, f"studies.{key}.models", "models")
            for setting in ("histogram_layer", "matrix_layer"):
                if hasattr(study, setting):
                    self._layer_exists(f"studies.{key}.{setting}", getattr(study, setting), study.models)
        if self.studies.token_length:
            self._pairs_can_be_compared("studies.token_length.pairs", self.studies.token_length)
        return self

    def _pairs_can_be_compared(self, key: str, study: TokenLength) -> None:
        for pair in study.pairs:
            for name in pair:
                if name not in study.models:
                    raise ValueError(
                        f"{key}: '{name}' is not in the study's models; allowed are {', '.join(study.models)}"
                    )
            if pair[0] == pair[1]:
                raise ValueError(f"{key}: '{pair[0]}' is paired with itself; name two models")
            one, other = (self.models[name].tokenizer for name in pair)
            if one != other:
                raise ValueError(
                    f"{key}: {pair[0]} and {pair[1]} read different tokens (tokenizers {one} and {other}); pair models "
                    "with one tokenizer"
                )

    def _layer_exists(self, key: str, layer: int, models: list[str]) -> None:
        for name in models:
            if layer >= self.models[name].layers:
                raise ValueError(
                    f"{key}: {layer} is not a layer of {name}; allowed are 0 to {self.models[name].layers - 1}"
                )


def _known(name: str, table: dict[str, Any], key: str, table_key: str) -> None:
    if name not in table:
        raise ValueError(f"{key}: '{name}' is not in {table_key}; allowed are {', '.join(table)}")


def load_config(raw: dict[str, Any], files: Iterable[str | Path] = ()) -> Config:
    """Validate the merged configuration.

    Args:
        files: those it was read from. Of a key that stands twice, YAML silently takes the last.

    Raises:
        UserError: one line for each wrong key: the key, its value and what is allowed.
    """
    files = list(files)
    for file in files:
        with at(file):
            _check_twice(file, yaml.compose(Path(file).read_text(encoding="utf-8"), yaml.CSafeLoader))
    try:
        with at(", ".join(map(str, files))):
            config = Config.model_validate(raw)
    except ValidationError as error:
        raise UserError(*map(_line, error.errors())) from None
    if not config.studies.run():
        raise UserError(f"config: studies: no study is named; allowed are {', '.join(Studies.model_fields)}")
    check_local_sources(config)
    return config


def _check_twice(file: str | Path, node: yaml.Node | None, place: str = "") -> None:
    """Raise UserError for the first key of a YAML file that stands twice in one section."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = f"{place}{key.value}"
            if name in seen:
                raise UserError(
                    f"config: {name}: stands twice, again in line {key.start_mark.line + 1} of {file}; keep one"
                )
            seen.add(name)
            _check_twice(file, value, f"{name}.")


def _line(problem: Any) -> str:
    """One validation problem as one line."""
    loc = problem["loc"]
    place = ".".join(map(str, loc))
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    value = _shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden":
            return f"config: {place}: no such key; allowed are {', '.join(_keys_at(loc[:-1]))}"
        case "missing":
            return f"config: {place}: is missing"
        case "value_error":  # of a whole section: the message begins with the key
            return f"config: {place}.{message}" if place else f"config: {message}"
        case "model_type" | "dict_type":
            message = "it holds keys of its own"
    if loc and loc[-1] == "[key]":  # how pydantic marks a name that is a key itself
        place, value = str(loc[0]), f"the name {value}"
    return f"config: {place or 'the file'}: {value} is not allowed: {message}"


def _keys_at(place: Iterable[Any]) -> Iterable[str]:
    """Keys of the section at ``place``."""
    kind: Any = Config
    for part in place:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            kind = kind.model_fields[part].annotation
            kind = get_args(kind)[0] if get_origin(kind) is UnionType else kind
    return kind.model_fields


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True, default=str)
    except TypeError:  # of keys that JSON does not have, such as dates
        text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def schema() -> str:
    """The JSON schema of the configuration, as it stands in workflow/schemas/config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
