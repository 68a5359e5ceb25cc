"""The whole configuration: its sections, those of all studies, and the JSON schema generated from them."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from layerscope.config.sections import (
    Activations,
    Corpus,
    Extraction,
    Model,
    Name,
    ResultsFolder,
    Sampling,
    Section,
    StudySettings,
    Summaries,
    Tokenizer,
)
from layerscope.studies.demand import Demand, Kept
from layerscope.studies.registry import STUDIES
from layerscope.studies.study import Study


class _Studies(Section):
    """Which studies run; one that is omitted or null does not."""

    def chosen(self) -> dict[str, StudySettings]:
        """The settings of the studies that run, by name."""
        return {name: settings for name, settings in self if settings}


if TYPE_CHECKING:
    Studies = _Studies
else:
    Studies = create_model(
        "Studies", __base__=_Studies, **{name: (study.settings_type | None, None) for name, study in STUDIES.items()}
    )


class Config(Section):
    """The whole configuration of the workflow."""

    models: dict[Name, Model] = Field(min_length=1)
    tokenizers: dict[Name, Tokenizer] = Field(min_length=1)
    corpora: dict[Name, Corpus] = Field(min_length=1)
    sampling: Sampling = Sampling()
    extraction: Extraction = Extraction()
    summaries: Summaries = Summaries()
    activations: list[Activations] = Field([], description="Sites that are kept beyond what the studies read.")
    studies: Studies
    results: ResultsFolder = Field("results", description="Folder for everything that is written.")

    def chosen(self) -> dict[str, Study]:
        """The studies that run, by name, with those of their models that exist."""
        sampling: Any = getattr(self, "sampling", None)  # None if the configuration has mistakes
        return {
            name: STUDIES[name](settings, self._models_of(getattr(settings, "models", ())), sampling)
            for name, settings in self.studies.chosen().items()
        }

    def kept(self) -> list[Kept]:
        """The entries of ``activations``, with those of their models that exist."""
        return [
            Kept(
                self._models_of(getattr(entry, "models", ())),
                getattr(entry, "corpus", None),
                getattr(entry, "store", ()),
                getattr(entry, "summarize", ()),
            )
            for entry in getattr(self, "activations", ())
        ]

    def demands(self) -> list[Demand]:
        """All that want something of a model: the studies that run, and the entries of ``activations``."""
        return [*self.chosen().values(), *self.kept()]

    def is_stored(self, shard: int) -> bool:
        """Whether all activations of a token shard are stored as they were computed, so that they give its summary."""
        whole = self.sampling.stored_of(shard) == self.sampling.sequences_per_shard
        return whole and self.extraction.storage_dtype == "float32"

    def _models_of(self, names: Iterable[str]) -> dict[str, Model]:
        return {name: model for name in names if (model := self.models.get(name))}


def schema() -> str:
    """The JSON schema of the configuration, the content of workflow/schemas/config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
