"""Copies of a GPU's tensors, with the order of what is asked of CUDA written down by stand-ins where there is none."""

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layerscope.extract import host_copies
from layerscope.extract.activation_shards import ActivationShard
from layerscope.extract.background import QUEUED, BackgroundWriter
from layerscope.extract.host_copies import HostCopies
from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.errors import UserError
from layerscope.io.files import write_json
from layerscope.tokenize.token_shards import Tokens

ROWS, WIDTH = 6, 5
RUN = {"sequences": ROWS, "sequence_length": 1, "batch_size": 1, "model": "mine"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of CUDA, in order. Copies are made when their event is waited for, as a slow GPU does."""
    asked: list[str] = []
    waiting: list[Any] = []
    copy = torch.Tensor.copy_

    class Stream:
        def wait_stream(self, other: str) -> None:
            asked.append(f"wait for {other}")

    class Event:
        def record(self) -> None:
            asked.append("event")
            self.copies, waiting[:] = list(waiting), []

        def synchronize(self) -> None:
            asked.append("synchronize")
            for into, tensor in self.copies:
                copy(into, tensor)

    @contextmanager
    def stream(of: Stream) -> Any:
        asked.append("on its own stream")
        yield

    def begin_copy(into: torch.Tensor, tensor: torch.Tensor, non_blocking: bool = False) -> None:
        assert non_blocking
        assert into.dtype == tensor.dtype
        asked.append("copy")
        waiting.append((into, tensor))

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "computing")
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, of: asked.append("kept until copied"))
    monkeypatch.setattr(torch.Tensor, "copy_", begin_copy)
    monkeypatch.setattr(host_copies, "pinned", lambda size: torch.full((size,), 255, dtype=torch.uint8))
    return asked


def test_a_copy_waits_for_its_tensor_and_the_cpu_for_the_copy(asked: list[str]) -> None:
    tensor = torch.arange(10.0).half()[:, None].expand(10, 3)
    copy = HostCopies(1).copy(tensor)
    assert asked == ["wait for computing", "on its own stream", "copy", "event", "kept until copied"]
    assert torch.equal(copy.wait(), tensor)
    assert asked[-1] == "synchronize"
    assert copy.values.dtype == torch.float16  # not converted on the GPU


@pytest.mark.usefixtures("asked")
def test_no_more_copies_than_their_count_and_none_overwrites_one_in_use() -> None:
    copies = HostCopies(2)
    first, second = (copies.copy(torch.full((4, 3), float(number))) for number in range(2))
    third: list[Any] = []
    thread = threading.Thread(target=lambda: third.append(copies.copy(torch.full((2, 3), 2.0))))
    thread.start()
    thread.join(0.2)
    assert not third
    assert torch.equal(first.wait(), torch.zeros(4, 3))
    copies.give_back(first)
    thread.join(10)
    assert third[0].buffer is first.buffer  # large enough
    assert torch.equal(third[0].wait(), torch.full((2, 3), 2.0))
    assert torch.equal(second.wait(), torch.ones(4, 3))


def writer_of(folder: Path) -> ActivationShardWriter:
    tokens = Tokens(*(np.arange(ROWS, dtype=np.int32) for _ in range(4)))
    return ActivationShardWriter(folder / "shard_0000.h5", tokens, RUN, "float32", "none")


@pytest.mark.usefixtures("asked")
def test_all_that_is_computed_on_a_gpu_is_written(tmp_path: Path) -> None:
    """More layers than there are buffers, which hold what is computed next before all is written."""
    layers = [torch.randn(ROWS, 1, WIDTH).bfloat16() for _ in range(3 * QUEUED)]
    with writer_of(tmp_path) as shard, BackgroundWriter(shard, torch.device("cuda")) as background:
        for layer, values in enumerate(layers):
            for part in (slice(0, 4), slice(4, ROWS)):  # the last batch is smaller
                background.put("mlp_pre", layer, values[part])
        background.join()
        write_json(tmp_path / "shard_0000.json", shard.finish())
    with ActivationShard(tmp_path / "shard_0000.h5") as read:
        for layer, values in enumerate(layers):
            assert np.array_equal(read.values(f"mlp_pre/layer_{layer:02d}"), values.float()[:, 0].numpy())


@pytest.mark.usefixtures("asked")
def test_an_error_in_writing_stops_computing_and_blocks_nothing(tmp_path: Path) -> None:
    with writer_of(tmp_path) as shard, BackgroundWriter(shard, torch.device("cuda")) as background:
        with pytest.raises(UserError, match="mlp_pre of layer 0"):
            for layer in range(5 * QUEUED):
                background.put("mlp_pre", layer, torch.full((ROWS, 1, WIDTH), torch.nan))
        assert background.error is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_copies_of_a_gpu_are_what_it_computed() -> None:
    copies = HostCopies(2)
    for number in range(20):
        tensor = torch.full((256, 1024), float(number), device="cuda") * 2
        copy = copies.copy(tensor)
        del tensor
        assert (copy.wait() == 2 * number).all()
        copies.give_back(copy)
