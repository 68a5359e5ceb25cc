"""How many sequences a forward pass takes; in a module that is cheap to import, since jobs ask for memory by it."""

import math
from typing import Literal

CPU_BATCH_TOKENS = 1024  # best of 512 to 4096 measured on two cores; larger batches leave the cache
GPU_BATCH_TOKENS = 16384


def batch_size_of(
    wanted: int | Literal["auto"], sequence_length: int, sequences: int, device: str, most: float = math.inf
) -> int:
    """Sequences per forward pass. Shapes stay fixed within a run, because kernels depend on them.

    Args:
        device: cpu or cuda.
        most: tokens that its memory has room for.
    """
    if wanted != "auto":
        return wanted
    tokens = min(most, CPU_BATCH_TOKENS if device == "cpu" else GPU_BATCH_TOKENS)
    return min(sequences, max(1, int(tokens // sequence_length)))
