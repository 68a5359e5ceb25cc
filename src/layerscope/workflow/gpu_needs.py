"""Memory that jobs take on a GPU."""

from collections.abc import Sequence
from typing import NamedTuple

from layerscope.model.batch_size import GPU_BATCH_TOKENS
from layerscope.model.gpu_memory import MLPS, SCORES, STREAMS
from layerscope.preflight.config import Config
from layerscope.workflow.job_costs import JobCosts
from layerscope.workflow.model_size import ModelSize
from layerscope.workflow.resources import Needs

# Of each token of a batch, what reducers hold beside the forward pass.
COPIES = 6  # tensors that wait until they are copied
PATHS = 40  # bytes × width of the streams: a block's, in float32 and float64
SUMMED = 12  # bytes × width of the MLP: float32 of a model of lower precision, and two buffers


class GPUMemory(NamedTuple):
    """Bytes on the device, without what CUDA itself takes."""

    least: float  # with which the job runs: its batches are as small as they may be
    most: float  # that it takes where there is room


def gpu_memory(config: Config, needs: Needs, size: ModelSize, jobs: Sequence[JobCosts]) -> GPUMemory | None:
    """What the most demanding of some jobs takes; None if none runs a model.

    A batch takes up to ``GPU_BATCH_TOKENS`` and up to half of the memory that is free once the weights are loaded
    (:mod:`layerscope.model.gpu_memory`), before sums are. These must fit beside it, so the least is as much as they,
    but for batches that are smaller still.
    """
    found = [_of_job(config, needs, size, job) for job in jobs if job.tokens]
    return GPUMemory(*map(max, zip(*found, strict=True))) if found else None


def _of_job(config: Config, needs: Needs, size: ModelSize, job: JobCosts) -> GPUMemory:
    extraction, length = config.extraction, min(needs.length, job.tokens)
    bytes_per_number = 4 if extraction.dtype == "float32" else 2
    weights = bytes_per_number * size.weights
    held = needs.sums_on_device(size) if job.rule == "summarize" else 0
    of_token = forward_bytes(size, length) + _reduced(job.rule, size, bytes_per_number)
    if extraction.batch_size != "auto":
        taken = weights + held + of_token * length * extraction.batch_size
        return GPUMemory(taken, taken)
    largest = of_token * min(max(GPU_BATCH_TOKENS, length), job.tokens)
    return GPUMemory(weights + held + max(of_token * length, min(held, largest)), weights + held + largest)


def forward_bytes(size: ModelSize, length: int) -> int:
    """Bytes that a forward pass needs for each token, at most: :func:`layerscope.model.gpu_memory.bytes_of_token`.

    Args:
        length: of a sequence, in tokens.
    """
    # Norms and the softmax compute in float32, whatever the precision.
    return 4 * (STREAMS * size.hidden + MLPS * size.mlp + SCORES * size.eager_heads * length)


def _reduced(rule: str, size: ModelSize, bytes_per_number: int) -> int:
    """Bytes that the reducer of a rule holds for each token of a batch."""
    match rule:
        case "extract":
            return COPIES * bytes_per_number * max(size.mlp, size.hidden)
        case "extract_paths":
            return PATHS * size.hidden
        case "summarize":
            return SUMMED * size.mlp
    return 0
