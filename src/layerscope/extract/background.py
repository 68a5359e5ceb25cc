"""Writing in a thread of its own, so that computing goes on meanwhile."""

import queue
import threading

import torch

from layerscope.extract.host_copies import HostCopies, HostCopy
from layerscope.extract.writer import ActivationShardWriter

QUEUED = 4  # tensors between computing and writing: bounds memory


class BackgroundWriter:
    """Appends tensors to a shard in a thread; an error there stops the job at the next tensor.

    Args:
        device: where the tensors are.
    """

    def __init__(self, shard: ActivationShardWriter, device: torch.device) -> None:
        self.shard = shard
        # One more is being written, and one being copied.
        self.copies = HostCopies(QUEUED + 2) if device.type == "cuda" else None
        self.items: queue.Queue[tuple[str, int, torch.Tensor | HostCopy] | None] = queue.Queue(QUEUED)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def put(self, site: str, layer: int, tensor: torch.Tensor) -> None:
        """Queue a tensor [rows, sequence length, width]; waits while the queue is full."""
        self._raise()
        self.items.put((site, layer, self.copies.copy(tensor) if self.copies else tensor))

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
            site, layer, given = item
            try:
                if self.error is None:  # else keep emptying the queue, so that the computing side never blocks
                    tensor = given.wait() if isinstance(given, HostCopy) else given
                    self.shard.append(site, layer, tensor.float().flatten(0, 1).numpy())
            except BaseException as error:
                self.error = error
            finally:
                if self.copies and isinstance(given, HostCopy):
                    self.copies.give_back(given)

    def __enter__(self) -> "BackgroundWriter":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.thread.is_alive():
            self.items.put(None)
            self.thread.join()
