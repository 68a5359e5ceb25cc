"""Copies of a GPU's tensors in main memory, made while the GPU computes on.

Only from and to pinned memory does a GPU copy without waiting for the CPU, and only on a stream of its own while it
computes (CUDA C++ Programming Guide, "Asynchronous Concurrent Execution").
"""

import queue
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class HostCopy:
    values: torch.Tensor  # in ``buffer``, once ``done``
    buffer: torch.Tensor
    done: torch.cuda.Event

    def wait(self) -> torch.Tensor:
        """The values, when they have arrived."""
        self.done.synchronize()
        return self.values


class HostCopies:
    """Makes copies, of which no more than ``count`` exist at a time: bounds pinned memory.

    Tensors are copied as they are: one of half precision is converted here, at half the bytes that cross the bus.
    """

    def __init__(self, count: int) -> None:
        self.stream = torch.cuda.Stream()
        self.buffers: queue.Queue[torch.Tensor] = queue.Queue()
        for _ in range(count):
            self.buffers.put(torch.empty(0, dtype=torch.uint8))

    def copy(self, tensor: torch.Tensor) -> HostCopy:
        """Begin to copy a tensor on the GPU; waits while ``count`` copies are in use."""
        buffer = self.buffers.get()
        if len(buffer) < tensor.nbytes:
            buffer = pinned(tensor.nbytes)
        values = buffer[: tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        self.stream.wait_stream(torch.cuda.current_stream())  # until the tensor has been computed
        with torch.cuda.stream(self.stream):
            values.copy_(tensor, non_blocking=True)
            done = torch.cuda.Event()
            done.record()
        tensor.record_stream(self.stream)  # else its memory could be given to the next tensor before it is copied
        return HostCopy(values, buffer, done)

    def give_back(self, copy: HostCopy) -> None:
        """Let the next copy take the place of this one, whose values are no longer needed."""
        self.buffers.put(copy.buffer)


def pinned(size: int) -> torch.Tensor:
    """Pinned main memory, [bytes]."""
    return torch.empty(size, dtype=torch.uint8, pin_memory=True)
