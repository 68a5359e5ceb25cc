"""How many bytes tensors take at a time: on a CPU, what a GPU would need."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """The most bytes of tensors that existed at a time, of those made under it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if torch.is_tensor(leaf)}
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if torch.is_tensor(leaf) and (place := leaf.untyped_storage().data_ptr()) not in given | self.seen:
                size = leaf.untyped_storage().nbytes()
                self.seen.add(place)
                self.now += size
                self.most = max(self.most, self.now)
                weakref.finalize(leaf.untyped_storage(), self.forget, place, size)
        return result

    def forget(self, place: int, size: int) -> None:
        self.seen.discard(place)
        self.now -= size
