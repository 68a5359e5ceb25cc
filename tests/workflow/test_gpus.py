"""How many jobs may run a model at once on this machine."""

import os
from pathlib import Path

import pytest

from layerscope.workflow.gpus import jobs_at_once


@pytest.mark.parametrize("device", ["nvidia0", "nvidia12", "kfd", "dxg"])
def test_one_where_there_is_a_gpu(tmp_path: Path, device: str) -> None:
    (tmp_path / device).touch()
    assert jobs_at_once(tmp_path) == 1


@pytest.mark.parametrize("device", [None, "nvidiactl", "dri"])
def test_one_for_each_core_where_there_is_none(tmp_path: Path, device: str | None) -> None:
    if device:
        (tmp_path / device).touch()
    assert jobs_at_once(tmp_path) == len(os.sched_getaffinity(0))
