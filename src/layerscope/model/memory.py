"""Keeping freed memory in the process for the next batch."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
LARGE = 1 << 30


def keep_freed_memory() -> None:
    """Have malloc reuse blocks of up to 1 GiB instead of giving them back to the kernel.

    Every batch needs tensors of the same sizes. By default glibc maps each of them anew, and the page faults cost up
    to a third of a forward pass on the CPU. Elsewhere than on glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)
