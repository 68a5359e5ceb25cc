"""The sections of the configuration, and the kinds of values that their keys may hold."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from layerscope.config.mistakes import Unknown
from layerscope.model.architecture import Site
from layerscope.tokenize.property_names import KEYS, OF_EVERY_TOKENIZER, RESERVED

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Text = Annotated[
    str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")
]  # it is shown in one-line messages
FREQUENCY_TOKENS = 1_000_000  # of a corpus, counted for the frequency of each token type, unless a study says how many
LARGEST_SEED = 2**63 - 1  # shards store it as a 64-bit integer


def _with_home(path: str) -> str:
    """A path whose ``~`` at the start is the home folder; the home of an unknown user is left as it is."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return path


def _one_error(value: Any, validate: Callable[[Any], Any]) -> Any:
    """One error for a value that fits no branch of a union, where pydantic gives one per branch."""
    try:
        return validate(value)
    except ValidationError:
        raise PydanticCustomError("count_or_auto", "input should be 'auto' or an integer of at least 1") from None


def _within_the_project(folder: str) -> str:
    """A relative path in its shortest form; Snakemake takes ``<``, ``{`` and their like for more than characters."""
    path = PurePosixPath(folder)
    if not re.fullmatch(r"[\w./-]+", folder, re.ASCII) or path.is_absolute() or path.parts[:1] in [(), (".snakemake",)]:
        raise PydanticCustomError("folder", "input should be a folder in that of the project, such as results-pilot")
    if ".." in path.parts:
        raise PydanticCustomError("folder", "input should be a folder in that of the project, without ..")
    return str(path)


def _no_covariate(name: str) -> str:
    """The name of a property, which is no key of its table and no other covariate of summaries."""
    if name in KEYS or RESERVED.fullmatch(name):
        raise PydanticCustomError("property", "it has another meaning; rename the column of your table")
    return name


def _no_duplicate(names: list[str]) -> list[str]:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise PydanticCustomError("duplicate", "'{name}' is named twice; name it once", {"name": twice})
    return names


ResultsFolder = Annotated[str, AfterValidator(_within_the_project)]
LocalPath = Annotated[Text, AfterValidator(_with_home)]
Layer = Annotated[int, Field(ge=0)]
Pair = Annotated[list[Name], Field(min_length=2, max_length=2)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
# A word, since summaries list the names of their covariates with spaces between them.
Property = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=64), AfterValidator(_no_covariate)
]
Properties = Annotated[list[Property], AfterValidator(_no_duplicate)]
Names = Annotated[list[Name], AfterValidator(_no_duplicate)]
Sites = Annotated[list[Site], AfterValidator(_no_duplicate)]
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
        "trained", description="random: the same architecture with random weights, an untrained control."
    )


class Tokenizer(Source):
    """A tokenizer in the format of the tokenizers library (tokenizer.json)."""

    properties: LocalPath | None = Field(
        None,
        description="CSV or Parquet file with properties of its token types: a column id or token, and numbers.",
    )


class Corpus(Source):
    """A named source of documents."""

    subset: Text | None = Field(None, description="Configuration of a hub data set, e.g. sample-10BT.")
    split: Text = Field("train", description="Split of a hub data set.")
    text_field: Text = Field("text", description="Field that holds a document's text.")


class Sampling(Section):
    """How many tokens are read, sequences x sequence_length, and of how many of them activations are stored."""

    sequences: int = Field(16, ge=1, description="Sequences in all; a multiple of sequences_per_shard.")
    sequence_length: int = Field(512, ge=2, description="Tokens per sequence.")
    sequences_per_shard: int = Field(8, ge=1, description="Sequences per shard; each is read by one job per model.")
    stored_sequences: int | None = Field(
        None, ge=1, description="The first sequences, whose activations are stored; default: all."
    )
    stored_sequences_per_shard: int | None = Field(
        None, ge=1, description="Sequences per activation shard, a divisor of sequences_per_shard; default: the same."
    )

    def filled_in(self) -> Self:
        """The section, with omitted settings that follow from others."""
        stored = {"stored_sequences": self.stored, "stored_sequences_per_shard": self.stored_per_shard}
        return self.model_copy(update=stored)

    @property
    def stored(self) -> int:
        """How many sequences are stored."""
        return self.stored_sequences or self.sequences

    @property
    def stored_per_shard(self) -> int:
        """How many of them are in one activation shard."""
        return self.stored_sequences_per_shard or self.sequences_per_shard

    @property
    def shards(self) -> int:
        return self.sequences // self.sequences_per_shard

    @property
    def stored_shards(self) -> int:
        return self.stored // self.stored_per_shard

    def stored_of(self, shard: int) -> int:
        """How many of the sequences of a token shard are stored."""
        return min(max(self.stored - shard * self.sequences_per_shard, 0), self.sequences_per_shard)

    def token_shard(self, stored: int) -> int:
        """The token shard whose tokens a shard of the stored sample holds."""
        return stored * self.stored_per_shard // self.sequences_per_shard


class Extraction(Section):
    """How activations are computed and stored."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one.")
    dtype: Literal["float32", "float16", "bfloat16"] = Field("float32", description="Compute precision.")
    batch_size: CountOrAuto = Field("auto", description="Sequences per forward pass.")
    storage_dtype: Literal["float32", "float16"] = Field("float32", description="Stored precision.")
    compression: Literal["none", "lzf", "gzip"] = Field("none", description="HDF5 compression of shards.")


class Summaries(Section):
    """What is summed over all tokens while a model runs."""

    token_types: int = Field(
        8192,
        ge=1,
        description="Types of tokens, the most frequent, whose sums are kept one by one; those of others by length.",
    )
    properties: Properties = Field(
        [],
        description=f"Further covariates: {', '.join(OF_EVERY_TOKENIZER)}, or columns of the tokenizers' tables.",
    )


class Activations(Section):
    """Sites of models that are kept beyond what the studies read."""

    models: Names = Field(min_length=1, description="Names from `models`.")
    corpus: Name = Field(description="Name from `corpora`.")
    store: Sites = Field([], description="Sites whose activations are stored, of the stored sample.")
    summarize: Sites = Field([], description="Sites of which every unit is summed up over all tokens.")


class StudySettings(Section):
    """Settings that every study has; those of a study derive from these."""

    chosen_layers: ClassVar[tuple[str, ...]] = ()  # settings that name a layer; default: the middle one

    models: list[Name] = Field(min_length=1, description="Names from `models`, in the order of the figures.")

    def filled_in(self, models: Mapping[str, Model]) -> Self:
        """The settings, with omitted ones that follow from ``models``, the study's by name."""
        middle = min(model.layers for model in models.values()) // 2
        omitted = {key: middle for key in self.chosen_layers if getattr(self, key) is None}
        return self.model_copy(update=omitted)


class CorpusStudySettings(StudySettings):
    """Settings of a study that reads a corpus."""

    corpus: Name = Field(description="Name from `corpora`.")
