"""What the jobs of a configuration cost, from the sizes of its models and of its sample, before any of them has run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layerscope.preflight.config import Config
from layerscope.studies.demand import stored_sites, summarized_sites
from layerscope.summarize.neuron_sums import CONTEXTS, POWERS, WINDOW
from layerscope.workflow.job_costs import JobCosts
from layerscope.workflow.model_size import ModelSize
from layerscope.workflow.resources import Needs

CHUNKS, CHUNKED_PRODUCTS = 1.12, 1.4  # HDF5 stores whole chunks, which matters where arrays have few rows; measured
COVARIATES = 13  # of a summary, with the spline of frequency, before those that the configuration adds


@dataclass(frozen=True)
class ModelCosts:
    """What the jobs of one model cost."""

    model: str
    jobs: Sequence[JobCosts]
    operations: float  # of all forward passes, floating-point

    @property
    def tokens(self) -> int:
        """Tokens that it is run over; a token that two jobs read counts twice."""
        return sum(of.jobs * of.tokens for of in self.jobs)

    def bytes_of(self, *rules: str) -> float:
        """What jobs write: those of some rules, or all."""
        return sum(of.jobs * of.bytes for of in self.jobs if not rules or of.rule in rules)

    @property
    def largest(self) -> JobCosts:
        """The job that takes most memory."""
        return max(self.jobs, key=lambda of: of.expected.memory)


def model_costs(config: Config, needs: Needs, name: str, size: ModelSize) -> ModelCosts:
    """What the jobs of a model cost."""
    demands = [demand for demand in config.demands() if name in demand.models]
    jobs: list[JobCosts] = []
    for corpus in dict.fromkeys(demand.corpus for demand in demands if demand.corpus):
        stored = stored_sites(demands, name, corpus)
        jobs += _extracted(config, needs, stored, size)
        for site in summarized_sites(demands, name, corpus):
            jobs += _summarized(config, needs, site, site in stored, size)
    for study in config.chosen().values():
        if name in study.models:
            jobs += study.costs(name, size, needs)
    return ModelCosts(name, jobs, sum(of.jobs * size.operations(of.tokens) for of in jobs))


def _extracted(config: Config, needs: Needs, sites: list[str], size: ModelSize) -> Iterator[JobCosts]:
    """Jobs that store activations."""
    if not sites:
        return
    expected = needs.extract(size, sites, needs.threads_of(size))
    made = needs.stored_bytes(size, sites)
    yield JobCosts("extract", config.sampling.stored_shards, expected, needs.stored_shard, made)


def _summarized(config: Config, needs: Needs, site: str, site_is_stored: bool, size: ModelSize) -> Iterator[JobCosts]:
    """Jobs that make summaries of a site, from stored activations or with a run of the model."""
    shards, width = config.sampling.shards, size.width(site)
    stored = sum(map(config.is_stored, range(shards))) if site_is_stored else 0
    made = summary_bytes(config, needs, size.layers * width)
    from_stored = needs.summarize_stored(size.layers, width)
    running = needs.summarize(size, site, needs.threads_of(size))
    if stored:
        yield JobCosts("summarize_stored", stored, from_stored, 0, made)
    if stored < shards:
        yield JobCosts("summarize", shards - stored, running, needs.shard, made)


def summary_bytes(config: Config, needs: Needs, neurons: int) -> float:
    """Bytes of the summary of a shard, whose arrays docs/file-formats.md lists.

    Args:
        neurons: of all layers.
    """
    covariates = COVARIATES + len(config.summaries.properties)
    clusters, classes = needs.clusters(needs.shard), needs.classes(needs.shard)
    products = 8 * (classes + clusters) * covariates**2
    few = 4 * clusters * (covariates + len(POWERS)) + 2 * CONTEXTS * (4 + 8 + 4 + 2 * WINDOW)
    return neurons * (4 * (1 + classes) + CHUNKS * few) + CHUNKED_PRODUCTS * products
