"""Records of sources: what a name of the configuration stood for when it was fetched."""

from typing import Literal, TypedDict

Weights = Literal["trained", "random"]


class SourceRecord(TypedDict):
    """Of a model or a tokenizer."""

    name: str  # in the configuration
    source: str  # hub id, or a folder on this machine
    commit: str | None  # on the hub
    content: str | None  # digest of local files
    path: str  # of the folder that holds its files


class ModelRecord(SourceRecord):
    model_type: str  # as its config.json says
    weights: Weights
