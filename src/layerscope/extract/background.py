"""Writing in a thread of its own, so that computing goes on meanwhile."""

import queue
import threading
from typing import Any

import torch

from layerscope.extract.writer import ActivationShardWriter

QUEUED = 4  # tensors between computing and writing: bounds memory


class BackgroundWriter:
    """Appends tensors to a shard in a thread; an error there stops the job at the next tensor."""

    def __init__(self, shard: ActivationShardWriter) -> None:
        self.shard = shard
        self.items: queue.Queue[tuple[str, int, torch.Tensor, Any] | None] = queue.Queue(QUEUED)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def put(self, site: str, layer: int, tensor: torch.Tensor) -> None:
        """Queue a tensor [rows, sequence length, width] on any device; waits while the queue is full."""
        copied = None
        if tensor.device.type == "cuda":
            tensor = tensor.float().to("cpu", non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
        self._raise()
        self.items.put((site, layer, tensor, copied))

    def join(self) -> None:
        """Wait until all is written."""
        self.items.put(None)
        self.thread.join()
        self._raise()

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        while (item := self.items.get()) is not None:
            if self.error is not None:
                continue  # keep emptying the queue, so that the computing side never blocks
            site, layer, tensor, copied = item
            try:
                if copied is not None:
                    copied.synchronize()
                self.shard.append(site, layer, tensor.float().flatten(0, 1).numpy())
            except BaseException as error:
                self.error = error

    def __enter__(self) -> "BackgroundWriter":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.thread.is_alive():
            self.items.put(None)
            self.thread.join()
