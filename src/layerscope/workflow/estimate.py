"""What a configuration costs, as a text: ``snakemake estimate``."""

import json
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from layerscope.io.errors import UserError
from layerscope.preflight.config import Config
from layerscope.workflow.costs import ModelCosts
from layerscope.workflow.gpu_needs import GPUMemory

RATE = 12e12  # floating-point operations per second: float32 without TF32 on an A100
SIZES = ("activations", "summaries", "all files", "most memory", "GPU memory")
HEAD = ("model", "tokens run", "FLOP", "GPU hours", *SIZES)
JOB = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)


def estimate(
    config: Config,
    gpu: bool,
    costs: Sequence[ModelCosts],
    on_gpu: Mapping[str, GPUMemory | None],
    unknown: Sequence[str],
    jobs: Mapping[str, int],
    on_cluster: int,
) -> str:
    """The text.

    Args:
        gpu: whether models run on a GPU.
        costs: of the models whose size is known.
        on_gpu: model → what the most demanding of its jobs takes there.
        unknown: names of the others.
        jobs: rule → how many jobs a run from scratch has.
        on_cluster: how many SLURM jobs these are.
    """
    sampling = config.sampling
    tokens = sampling.sequences * sampling.sequence_length
    stored = sampling.stored * sampling.sequence_length
    lines = [
        f"{tokens:,} tokens ({sampling.sequences:,} sequences of {sampling.sequence_length:,}, in shards of "
        f"{sampling.sequences_per_shard:,}); activations of {stored:,} are stored",
        "",
    ]
    if costs:
        lines += _table(HEAD, [_row(of, on_gpu[of.model]) for of in costs])
    if len(costs) > 1:
        together = sum(of.operations for of in costs)
        files = sum(of.bytes_of() for of in costs)
        lines += ["", f"together {together:.2g} FLOP, {_hours(together)} GPU hours, {_bytes(files)} on the disk"]
    if costs:
        most = max(costs, key=lambda of: of.largest.expected.memory)
        lines += [f"largest job: {most.largest.rule} of {most.model}, {_bytes(most.largest.expected.memory)} of memory"]
    if unknown:
        lines += [f"not counted, since their sizes are known only when they are fetched: {', '.join(unknown)}"]
    lines += [
        f"{sum(jobs.values()):,} jobs from scratch; with profiles/slurm {on_cluster:,} SLURM jobs",
        "",
        f"FLOP: two per weight and token, without attention between tokens. GPU hours at {RATE / 1e12:.0f} TFLOP/s: "
        "float32 on an A100.",
        f"Memory: of a job's process, with models on the {'GPU' if gpu else 'CPU'}; a cluster is asked for "
        "LAYERSCOPE_MARGIN (1.5) times as much.",
        "GPU memory: of a job that runs a model there, from the least that will do, with smaller batches, to what it "
        "takes where there is room; CUDA itself takes some more.",
    ]
    return "\n".join(lines)


def planned_jobs(config: Mapping[str, Any], snakefile: str) -> dict[str, int]:
    """Rule → how many jobs a run from scratch has, by Snakemake's own plan.

    Args:
        config: as Snakemake gives it to a script, with all that overrides the default.

    Raises:
        UserError: Snakemake cannot plan it.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        command = [
            "--snakefile",
            snakefile,
            "--dry-run",
            "--forceall",
            "--quiet",
            "rules",
            "--nolock",
            "--ignore-incomplete",  # what a run that goes on, or was killed, has begun
            "--configfile",
            file.name,
            "--",
            "all",
        ]
        plan = subprocess.run([sys.executable, "-m", "snakemake", *command], capture_output=True, text=True)
    if plan.returncode:
        raise UserError(
            f"the run cannot be planned; snakemake --dry-run says why ({(plan.stdout + plan.stderr).strip()[-200:]})"
        )
    return jobs_of_plan(plan.stdout)


def jobs_of_plan(plan: str) -> dict[str, int]:
    """Rule → its jobs, from the table of ``snakemake --dry-run --quiet``."""
    found = {rule: int(count) for rule, count in JOB.findall(plan)}
    return {rule: count for rule, count in found.items() if rule not in ("total", "all")}


def slurm_jobs(jobs: Mapping[str, int], local: Collection[str], profile: Mapping[str, Any]) -> int:
    """How many SLURM jobs a run has.

    Args:
        jobs: rule → its jobs.
        local: rules that run where Snakemake runs.
        profile: the cluster's profile, whose groups are jobs that share one.
    """
    groups = dict(entry.split("=") for entry in profile.get("groups", ()))
    sizes = {name: int(size) for name, size in (entry.split("=") for entry in profile.get("group-components", ()))}
    submitted: Counter[str] = Counter()
    for rule, count in jobs.items():
        if rule not in local:
            submitted[groups.get(rule, rule)] += count
    return sum(math.ceil(count / sizes.get(group, 1)) for group, count in submitted.items())


def _row(of: ModelCosts, on_gpu: GPUMemory | None) -> list[str]:
    activations, summaries = of.bytes_of("extract"), of.bytes_of("summarize", "summarize_stored")
    return [
        of.model,
        f"{of.tokens:,}",
        f"{of.operations:.2g}",
        _hours(of.operations),
        _bytes(activations),
        _bytes(summaries),
        _bytes(of.bytes_of()),
        _bytes(of.largest.expected.memory),
        " to ".join(dict.fromkeys(map(_bytes, on_gpu))) if on_gpu else "none",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width: names to the left, numbers to the right."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(
            f"{cell:{'<' if at == 0 else '>'}{width}}" for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]


def _hours(operations: float) -> str:
    hours = operations / RATE / 3600
    return f"{hours:.2g}" if hours >= 0.01 else "under 0.01"


def _bytes(size: float) -> str:
    if size < 1e5:
        return "0" if not size else "under 0.1 MB"
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
