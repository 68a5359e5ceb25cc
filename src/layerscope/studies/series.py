"""Revisions of one model, as the specs of figures hold them."""

from typing import TypedDict


class Series(TypedDict):
    """Revisions of one model in the order of training, in plain values."""

    name: str  # of the model
    models: list[str]  # names of the entries
    revisions: list[str]  # one per entry
    steps: list[int] | None  # one per entry; None where no revision of the model has one
