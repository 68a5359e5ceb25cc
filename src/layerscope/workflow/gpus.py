"""Whether this machine has a GPU, without the seconds that torch takes to say so."""

import os
from pathlib import Path

DEVICES = ("nvidia[0-9]*", "kfd", "dxg")  # of NVIDIA's driver, of AMD's, and of the Windows that Linux runs in


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether there is one.

    Args:
        devices: the folder of the system's devices.
    """
    return any(next(devices.glob(name), None) for name in DEVICES)


def jobs_at_once(devices: Path = Path("/dev")) -> int:
    """How many jobs may run a model at once here: one where there is a GPU, which they would share, else one per core.

    Args:
        devices: as for :func:`has_gpu`.
    """
    return 1 if has_gpu(devices) else len(os.sched_getaffinity(0))
