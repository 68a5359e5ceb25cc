"""Records of sources (JSON): what a name of the config was resolved to, for the jobs that read it later."""

from typing import Literal, TypedDict

Weights = Literal["trained", "random"]


class SourceRecord(TypedDict):
    """What every record holds."""

    name: str  # in the config
    source: str  # hub id, or a local path
    commit: str | None  # of a hub repository
    content: str | None  # digest of local files


class TokenizerRecord(SourceRecord):
    path: str  # folder of its files on this machine


class ModelRecord(SourceRecord):
    path: str  # folder of its files on this machine
    model_type: str  # as its config.json says
    weights: Weights


class CorpusRecord(SourceRecord):
    subset: str | None
    split: str | None
    text_field: str
    files: list[str] | None  # of a local corpus
