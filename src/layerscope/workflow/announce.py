"""Messages on standard error: where planning takes long, and which pages a run has written."""

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from layerscope.preflight.config import Config
from layerscope.studies.demand import tokenizers_of

PATIENCE = 5.0  # seconds without a word
# Snakemake links each job to each file that it reads, and plans about this many of these links per second (measured:
# 5,000 on a shared core, 10,000 on one that is not).
READS_PER_SECOND = 5_000
MANY_READS = 20 * READS_PER_SECOND


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say what is being done, unless it is done soon."""
    timer = threading.Timer(PATIENCE, _say, [what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def announce_plan(config: Config, layer_jobs: Mapping[str, Mapping[str, int]]) -> None:
    """Say how much Snakemake has to plan, if it is a lot.

    Args:
        layer_jobs: study → model → how many jobs measure its layers.
    """
    jobs, reads = plan_size(config, layer_jobs)
    if reads >= MANY_READS:
        minutes = max(1, round(reads / READS_PER_SECOND / 60))
        time = "a minute" if minutes == 1 else f"{minutes} minutes"
        _say(f"planning about {jobs:,} jobs for {config.sampling.shards:,} shards; this takes about {time}")


def plan_size(config: Config, layer_jobs: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    """How many jobs the shards need, and how many files of shards these read, counted once per job.

    Jobs and files whose number does not grow with that of the shards are not counted.
    """
    tokenized, extracted, summarized = set(), set(), set()
    studies = config.chosen().values()
    jobs_of = {study.name: layer_jobs.get(study.name, {}) for study in studies}
    for demand in config.demands():
        if demand.corpus:
            tokenized |= {(tokenizer, demand.corpus) for tokenizer in tokenizers_of(demand.models)}
            extracted |= {(model, demand.corpus) for model in demand.models if demand.sites}
            summarized |= {(model, demand.corpus, site) for model in demand.models for site in demand.summarized_sites}
    of_tokens = len(tokenized) + len(summarized) + sum(study.shard_jobs for study in studies)
    jobs = config.sampling.shards * of_tokens + config.sampling.stored_shards * len(extracted)
    reads = config.sampling.shards * sum(study.summary_reads(jobs_of[study.name]) for study in studies)
    reads += config.sampling.stored_shards * sum(study.shard_reads(jobs_of[study.name]) for study in studies)
    return jobs, jobs + reads


def announce_pages(written: Iterable[str]) -> None:
    """Say which pages to open, the report first.

    Args:
        written: paths of what the jobs of the run have written.
    """
    if pages := sorted((path for path in written if path.endswith(".html")), key=len):
        _say(f"now open {' and '.join(pages)}")


def _say(what: str) -> None:
    print(f"layerscope: {what}", file=sys.stderr, flush=True)
