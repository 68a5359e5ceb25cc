"""How many sequences a forward pass takes; in a module that is cheap to import, since jobs ask for memory by it."""

from typing import Literal

CPU_BATCH_TOKENS = 1024  # best of 512 to 4096 measured on two cores; larger batches leave the cache
GPU_BATCH_TOKENS = 16384


def batch_size_of(wanted: int | Literal["auto"], sequence_length: int, sequences: int, device: str) -> int:
    """Sequences per forward pass. Shapes stay fixed within a run, because kernels depend on them.

    Args:
        device: cpu or cuda.
    """
    if wanted != "auto":
        return wanted
    tokens = CPU_BATCH_TOKENS if device == "cpu" else GPU_BATCH_TOKENS
    return min(sequences, max(1, tokens // sequence_length))
