"""What a study is: its settings, what it reads, what its jobs depend on, its figures, and its part of the report.

The workflow, the checks before it and the report ask a :class:`Study`; none of them knows any study by name. Importing
a study is cheap: it names its functions as ``module:function``, and only the job that calls one imports it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from layerscope.config.mistakes import Mistakes
from layerscope.config.sections import CorpusStudySettings, Model, Sampling, StudySettings
from layerscope.studies.demand import tokenizers_of
from layerscope.studies.revisions import series_of
from layerscope.studies.series import Series
from layerscope.tokenize.tokenizer import LoadedTokenizer
from layerscope.workflow.job_costs import JobCosts

if TYPE_CHECKING:
    from layerscope.workflow.model_size import ModelSize
    from layerscope.workflow.resources import Needs

RESULTS = "<results>"  # the folder of results; Snakemake fills in its name
PACKAGE = "layerscope.studies"
SEVERAL = {"model", "layer", "shard", "stored_shard", "tokenizer"}  # placeholders that stand for all of their values


@dataclass(frozen=True)
class Figure:
    """A figure: what it shows, which function draws it, and from which files.

    Models are panels of one figure, with one caption, ``captions/{name}.rst`` in the study's folder.
    """

    name: str
    draw: str  # function of the study; called with the paths to write, what it reads, and its settings
    # Argument of the function → a pattern for Study.paths: what is in files of models or of tokenizers comes as a
    # dictionary by their names, with a list of each model's layers if there is a file for each.
    reads: dict[str, str]
    label: str  # what it shows, in a few words
    shows: Literal["models", "pairs of models", "sample"] = "models"
    settings: Mapping[str, str] = field(default_factory=dict)  # further argument → the setting that gives it
    along_revisions: bool = False  # whether the function takes a `series`, too, where there are revisions of one model


class Study:
    """A study under the settings of one configuration.

    Args:
        settings: its section of the config.
        models: its models by name.
        sampling: how much of its corpus is sampled.
    """

    name: ClassVar[str]  # also of its folders, its rules file and its section of the config
    title: ClassVar[str]
    settings_type: ClassVar[type[StudySettings]]
    figures: ClassVar[tuple[Figure, ...]]  # in the order of the report
    # Script → what its result depends on besides the files that it reads: settings of the study or of `extraction`,
    # or properties of the study.
    depends: ClassVar[Mapping[str, tuple[str, ...]]]
    local_files: ClassVar[tuple[str, ...]] = ()  # settings that name a file whose content jobs depend on
    makes_claims: ClassVar[bool] = True  # which are in its claims.csv
    settings: StudySettings  # a study narrows this to its own, so that mypy knows its keys

    def __init__(self, settings: StudySettings, models: Mapping[str, Model], sampling: Sampling) -> None:
        self.settings, self.models, self.sampling = settings, models, sampling

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that it reads from the activation shards of its models and corpus."""
        return ()

    @property
    def summarized_sites(self) -> tuple[str, ...]:
        """Sites of which it reads the summaries of its models and corpus."""
        return ()

    def shard_reads(self, layer_jobs: Mapping[str, int]) -> int:
        """How many files of activation shards its jobs read per shard of these, counted once per job.

        Args:
            layer_jobs: model → how many jobs measure its layers.
        """
        return 0

    def summary_reads(self, layer_jobs: Mapping[str, int]) -> int:
        """How many summaries its jobs read per token shard, counted once per job; as :meth:`shard_reads`."""
        return 0

    @property
    def shard_jobs(self) -> int:
        """How many jobs of its own it has per shard."""
        return 0

    @property
    def counted_tokens(self) -> int:
        """How many tokens of its corpus are counted for the frequencies of token types."""
        return 0

    @property
    def properties(self) -> list[str]:
        """Names of the properties of token types that it reads besides their lengths and frequencies."""
        return []

    @property
    def corpus(self) -> str | None:
        """Name of the corpus that it reads, if any."""
        return self.settings.corpus if isinstance(self.settings, CorpusStudySettings) else None

    @property
    def tokenizers(self) -> list[str]:
        """Names of the tokenizers of its models, without duplicates."""
        return tokenizers_of(self.models)

    def readers(self, tokenizer: str) -> list[str]:
        """Names of its models that use a tokenizer."""
        return [name for name, model in self.models.items() if model.tokenizer == tokenizer]

    @property
    def untrained(self) -> list[str]:
        """Names of its models with random weights."""
        return [name for name, model in self.models.items() if model.weights == "random"]

    @property
    def series(self) -> list[Series]:
        """Its models that are revisions of one model, in the order of training."""
        return series_of(self.models)

    @property
    def section(self) -> str:
        """The function that writes its part of the report, ``package.module:function``."""
        return f"{PACKAGE}.{self.name}.section:section"

    def function(self, figure: Figure) -> str:
        """The function that draws a figure, ``package.module:function``."""
        return f"{PACKAGE}.{self.name}.{figure.draw}"

    def tables(self) -> dict[str, str]:
        """Tables that its part of the report reads: name → pattern for :meth:`paths`."""
        return {"layers": f"{self.name}/layers.csv"}

    def described(self) -> list[str]:
        """One HDF5 file per model, whose attributes say how its values came about; by default an activation shard."""
        return self.paths("activations/{model}/{corpus}/shard_0000.h5")

    def drawn(self) -> tuple[Figure, ...]:
        """Its figures under the current settings."""
        return self.figures

    def figures_by_kind(self) -> dict[str, list[Figure]]:
        """Its figures under the current settings, by what they show: what those of a kind read is ready at one time."""
        by_kind: dict[str, list[Figure]] = {}
        for figure in self.drawn():
            by_kind.setdefault(figure.shows, []).append(figure)
        return by_kind

    def check_settings(self, tokenizers: Collection[str], mistakes: Mistakes) -> None:
        """Note settings that do not fit each other, the models or the ``tokenizers`` of the config."""

    def check_files(
        self, tokenizers: Mapping[str, LoadedTokenizer], positions: Mapping[str, int], mistakes: Mistakes
    ) -> None:
        """Note local files that cannot be used.

        Args:
            tokenizers: the local ones of its models, by name.
            positions: model → the most tokens it takes, for local models with a limit.
        """

    def costs(self, model: str, size: "ModelSize", needs: "Needs") -> Iterable[JobCosts]:
        """What its larger jobs cost for one of its models, for ``snakemake estimate``.

        Args:
            size: of the model.
            needs: what jobs are expected to need.
        """
        return ()

    def value(self, key: str) -> Any:
        """A property or a setting of the study."""
        of_study = isinstance(getattr(type(self), key, None), property)
        return getattr(self if of_study else self.settings, key)

    def paths(self, pattern: str, **known: str) -> list[str]:
        """The files of the results that a pattern names.

        Args:
            pattern: relative to the results. ``{model}``, ``{layer}`` (of that model), ``{shard}``, ``{stored_shard}``
                (of the stored sample) and ``{tokenizer}`` stand for all of them; ``{corpus}`` and a setting that
                chooses a layer have one value.
            known: placeholders with a fixed value.
        """
        values = self._values(_placeholders(pattern), known)
        return [f"{RESULTS}/{pattern.format(**of)}" for of in values]

    def _values(self, names: list[str], known: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """All combinations of the values of placeholders; layers depend on the model."""
        of_models = "model" in names and "model" not in known
        for model in self.models if of_models else [known.get("model", "")]:
            given = {**known, "model": model}
            others = [name for name in names if name not in given]
            for values in product(*(self._choices(name, model) for name in others)):
                yield {**given, **dict(zip(others, values, strict=True))}

    def _choices(self, name: str, model: str) -> Iterable[str]:
        match name:
            case "layer":
                return [f"{layer:02d}" for layer in range(self.models[model].layers)]
            case "shard":
                return [f"{shard:04d}" for shard in range(self.sampling.shards)]
            case "stored_shard":
                return [f"{shard:04d}" for shard in range(self.sampling.stored_shards)]
            case "tokenizer":
                return self.tokenizers
            case "corpus":
                return [str(self.corpus)]
        return [f"{self.value(name):02d}"]  # a chosen layer

    def keys(self, pattern: str) -> list[str] | None:
        """Of each file that a pattern names, the tokenizer or model that it is about; None if it is about neither."""
        names = _placeholders(pattern)
        if "tokenizer" in names:
            return self.tokenizers
        return [name for name in self.models for _ in self.paths(pattern, model=name)] if "model" in names else None

    def inputs(self, reads: Mapping[str, str]) -> dict[str, str | list[str]]:
        """The paths of each argument: one, or a list if the pattern names several."""
        found: dict[str, str | list[str]] = {}
        for argument, pattern in reads.items():
            paths = self.paths(pattern)
            found[argument] = paths if SEVERAL & set(_placeholders(pattern)) else paths[0]
        return found

    def caption(self, figure: Figure) -> Path:
        """The file with the caption of a figure."""
        return Path(__file__).parent / self.name / f"captions/{figure.name}.rst"


def _placeholders(pattern: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(pattern) if name]
