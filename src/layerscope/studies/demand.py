"""What is wanted of models on a corpus, whoever wants it: a study, or an entry of the key ``activations``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from layerscope.config.sections import Model
from layerscope.model.architecture import SITES


class Demand(Protocol):
    """Models and a corpus, and the sites of theirs that are to be there."""

    @property
    def models(self) -> Mapping[str, Model]: ...

    @property
    def corpus(self) -> str | None:
        """Name of the corpus, if any is read."""

    @property
    def sites(self) -> Sequence[str]:
        """Sites that are stored in activation shards."""

    @property
    def summarized_sites(self) -> Sequence[str]:
        """Sites that have summaries."""


@dataclass(frozen=True)
class Kept:
    """An entry of ``activations``."""

    models: Mapping[str, Model]
    corpus: str | None
    sites: Sequence[str]
    summarized_sites: Sequence[str]


def tokenizers_of(models: Mapping[str, Model]) -> list[str]:
    """Names of the tokenizers of models, without duplicates; not of a model whose tokenizer is a mistake itself."""
    return list(dict.fromkeys(model.tokenizer for model in models.values() if hasattr(model, "tokenizer")))


def stored_sites(demands: Iterable[Demand], model: str, corpus: str) -> list[str]:
    """Sites that the activation shards of a model and corpus hold, without duplicates.

    Those of studies come first, in the order of these; so a shard without others is what it would be without the key.
    """
    return _in_order([(demand, demand.sites) for demand in demands], model, corpus)


def summarized_sites(demands: Iterable[Demand], model: str, corpus: str) -> list[str]:
    """Sites of which a model has summaries on a corpus, without duplicates."""
    return _in_order([(demand, demand.summarized_sites) for demand in demands], model, corpus)


def _in_order(wanted: Iterable[tuple[Demand, Sequence[str]]], model: str, corpus: str) -> list[str]:
    """Sites of studies in their order, and then others in that of all sites: in whatever order entries name them."""
    here = [(of, sites) for of, sites in wanted if model in of.models and of.corpus == corpus]
    of_studies = [site for of, sites in here if not isinstance(of, Kept) for site in sites]
    others = {site for of, sites in here if isinstance(of, Kept) for site in sites}
    return list(dict.fromkeys([*of_studies, *(site for site in SITES if site in others)]))
