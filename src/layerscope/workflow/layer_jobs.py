"""Which layers one job measures: several of a small model, which are measured faster than Python starts.

This follows from the configuration and from models on this machine alone. Every job on a cluster reads the Snakefile
again and must find the same rules, even if a model was fetched in the meantime. So each layer of a model of the hub has
a job of its own, unless there are very many shards.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from layerscope.config.sections import Model
from layerscope.studies.study import Study
from layerscope.workflow.model_size import ModelSize, local_model_size

JOB_VALUES = 1 << 27  # numbers that a job reads, if its model has so many: ten to thirty seconds of a core
# Snakemake links each job to each shard that it reads, and plans so many links a second: with so many shards a second
# layer shares the job, with twice as many a third.
MANY_SHARDS = 170
PRODUCTS = 2048  # of two numbers, that take as long as what else is done with a number that is read


@dataclass(frozen=True)
class LayerJobs:
    """Jobs of one rule: of each model one job for ``layers``, or, where these are None, one for every layer."""

    models: tuple[str, ...]
    layers: range | None

    @property
    def constraint(self) -> str:
        """A pattern for the names of the models."""
        return "|".join(map(re.escape, self.models))

    @property
    def _span(self) -> str:
        return "" if self.layers is None else f"layers_{self.layers[0]:02d}_{self.layers[-1]:02d}"

    @property
    def layers_each(self) -> int:
        """How many layers a job measures, one after another."""
        return 1 if self.layers is None else len(self.layers)

    @property
    def label(self) -> str:
        """The layers of a job in words, for Snakemake's messages."""
        return "layer {wildcards.layer}" if self.layers is None else f"layers {self.layers[0]} to {self.layers[-1]}"

    def rule(self, name: str) -> str:
        """The name of the rule, given that of a rule with one job for every layer."""
        return f"{name}_{self._span}".rstrip("_")

    def files(self, pattern: str) -> list[str]:
        """What a job writes, from a pattern with ``{layer}``."""
        if self.layers is None:
            return [pattern]
        return [pattern.replace("{layer}", f"{layer:02d}") for layer in self.layers]

    def file(self, pattern: str) -> str:
        """One file of a job, such as its log, from a pattern with ``layer_{layer}``."""
        return pattern if self.layers is None else pattern.replace("layer_{layer}", self._span)


def layer_jobs(study: Study, values: Callable[[ModelSize], float]) -> list[LayerJobs]:
    """The jobs that measure the layers of the models of a study.

    Args:
        values: how many numbers the job of a layer reads.
    """
    models: dict[range | None, list[str]] = {}
    for name, model in study.models.items():
        size = local_model_size(model.source)
        together = int(JOB_VALUES // max(1, values(size))) if size else 1
        if study.corpus:
            together = max(together, 1 + study.sampling.shards // MANY_SHARDS)
        for layers in _shared(model.layers, together):
            models.setdefault(layers, []).append(name)
    return [LayerJobs(tuple(names), layers) for layers, names in models.items()]


def whole_models(study: Study) -> list[LayerJobs]:
    """The jobs of a study's models where one takes all layers of a model, whatever their number and size."""
    models: dict[int, list[str]] = {}
    for name, model in study.models.items():
        models.setdefault(model.layers, []).append(name)
    return [LayerJobs(tuple(names), range(layers)) for layers, names in models.items()]


def jobs_of_models(study: Study, jobs: Iterable[LayerJobs]) -> dict[str, int]:
    """Model → how many jobs measure its layers."""
    count = dict.fromkeys(study.models, 0)
    for of in jobs:
        for name in of.models:
            count[name] += study.models[name].layers if of.layers is None else 1
    return count


def matching(models: Iterable[Model], tokens: int) -> Callable[[ModelSize], float]:
    """What matching a layer of a model with all neurons of one of ``models`` costs, as numbers that are read."""
    sizes = [local_model_size(model.source) for model in models]
    neurons = max((size.layers * size.mlp if size else math.inf for size in sizes), default=0)
    return lambda size: tokens * size.mlp * max(1, neurons / PRODUCTS)


def _shared(layers: int, together: int) -> list[range] | list[None]:
    """The layers of each job, at most ``together``, about as many in one as in the next; None if each has its own."""
    if together < 2 or layers < 2:
        return [None]
    jobs = math.ceil(layers / together)
    bounds = [layers * job // jobs for job in range(jobs + 1)]
    return [range(start, stop) for start, stop in pairwise(bounds)]
