"""The largest values of each neuron, and where they are."""

import numpy as np
import torch

from layerscope.summarize.neuron_sums import CONTEXTS

PART = 64  # tokens, of which the largest is looked at first


class Extremes:
    """The ``CONTEXTS`` largest, or smallest, values of each neuron; of equal values the first are kept.

    Args:
        sign: 1 for the largest, −1 for the smallest.
        neurons: how many.
        dtype: of the values.
        device: of the values that are added.
    """

    def __init__(self, sign: int, neurons: int, dtype: torch.dtype, device: torch.device) -> None:
        self.sign, self.neurons = sign, neurons
        self.beyond = torch.gt if sign > 0 else torch.lt
        shape, of_values = (CONTEXTS, neurons), str(dtype).removeprefix("torch.")
        # Times the sign, from the largest down.
        self.values = np.full(shape, -np.inf, dtype=of_values)
        self.places = np.full(shape, -1, dtype=np.int64)
        self.bound = torch.full((neurons,), -sign * torch.inf, dtype=dtype, device=device)  # the last of these
        # In one place from the start. Small arrays that stay lie scattered between those that passes of the model
        # allocate and free, and these then need ever more memory.
        fields = [("neuron", np.int32), ("value", of_values), ("place", np.int64)]
        self.waiting, self.waits = np.empty(self.values.size, dtype=fields), 0

    def add(self, values: torch.Tensor, extremes: torch.Tensor, places: np.ndarray) -> None:
        """Take values [tokens, neurons] that follow all earlier ones in the text.

        Args:
            extremes: [parts, neurons], the largest, or smallest, values of parts of the tokens, all of one size.
            places: [tokens]; −1 for tokens that take no part.
        """
        if self.places[-1].min() < 0 and len(extremes) > 1:
            # At first every value is one of the largest. Of as many tokens as came before, half of the largest are new.
            size, taken = len(values) // len(extremes), 0
            while taken < len(extremes):
                parts = slice(taken, min(max(1, 2 * taken), len(extremes)))
                some = slice(parts.start * size, parts.stop * size)
                self.add(values[some], extremes[parts], places[some])
                taken = parts.stop
            return
        part, neuron = self.beyond(extremes, self.bound).nonzero(as_tuple=True)
        if not len(part):
            return
        found = values.unflatten(0, (len(extremes), -1))[part, :, neuron]
        which, at = self.beyond(found, self.bound[neuron, None]).nonzero(as_tuple=True)
        new = np.empty(len(which), dtype=self.waiting.dtype)
        new["neuron"], new["value"] = neuron[which].cpu().numpy(), self.sign * found[which, at].cpu().numpy()
        new["place"] = places[(part[which] * found.shape[1] + at).cpu().numpy()]
        new = new[new["place"] >= 0]
        # Until they are merged, the bound is looser than it could be, and more are found than needed.
        if self.waits + len(new) > len(self.waiting) or self.places[-1].min() < 0:
            self.merge(new)
        else:
            self.waiting[self.waits : self.waits + len(new)] = new
            self.waits += len(new)

    def merge(self, *new: np.ndarray) -> None:
        """Take in those that wait, and ``new`` ones, which follow them."""
        joined = np.concatenate([self.waiting[: self.waits], *new])
        if not len(joined):
            return
        neuron, value, place = (joined[name] for name in ("neuron", "value", "place"))
        order = np.argsort(neuron, kind="stable")
        counts = np.bincount(neuron, minlength=self.neurons)
        rank = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
        at = neuron[order], CONTEXTS + rank
        shape = (self.neurons, CONTEXTS + int(counts.max()))
        values, places = np.full(shape, -np.inf, self.values.dtype), np.full(shape, -1, dtype=np.int64)
        values[:, :CONTEXTS], places[:, :CONTEXTS] = self.values.T, self.places.T
        values[at], places[at] = value[order], place[order]
        kept = torch.sort(torch.from_numpy(values), descending=True, stable=True).indices[:, :CONTEXTS].numpy()
        self.values[:], self.places[:] = (np.take_along_axis(table, kept, 1).T for table in (values, places))
        self.bound = torch.from_numpy(self.sign * self.values[-1]).to(self.bound.device)
        self.waits = 0
