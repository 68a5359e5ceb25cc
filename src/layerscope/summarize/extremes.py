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
        shape = (CONTEXTS, neurons)
        # Times the sign, from the largest down.
        self.values = np.full(shape, -np.inf, dtype=str(dtype).removeprefix("torch."))
        self.places = np.full(shape, -1, dtype=np.int64)
        self.bound = torch.full((neurons,), -sign * torch.inf, dtype=dtype, device=device)  # the last of these
        self.waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

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
        place = places[(part[which] * found.shape[1] + at).cpu().numpy()]
        known = place >= 0
        new = neuron[which].cpu().numpy(), self.sign * found[which, at].cpu().numpy(), place
        self.waiting.append(tuple(array[known] for array in new))
        # Until they are merged, the bound is looser than it could be, and more are found than needed.
        if sum(len(neuron) for neuron, _, _ in self.waiting) > self.values.size or self.places[-1].min() < 0:
            self.merge()

    def merge(self) -> None:
        """Take in those that wait."""
        if not self.waiting:
            return
        neuron, value, place = (np.concatenate(arrays) for arrays in zip(*self.waiting, strict=True))
        order = np.argsort(neuron, kind="stable")
        counts = np.bincount(neuron, minlength=self.neurons)
        rank = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
        at = neuron[order], CONTEXTS + rank
        shape = (self.neurons, CONTEXTS + int(counts.max()))
        values, places = np.full(shape, -np.inf, self.values.dtype), np.full(shape, -1, dtype=np.int64)
        values[:, :CONTEXTS], places[:, :CONTEXTS] = self.values.T, self.places.T
        values[at], places[at] = value[order], place[order]
        kept = torch.sort(torch.from_numpy(values), descending=True, stable=True).indices[:, :CONTEXTS].numpy()
        self.values, self.places = (np.take_along_axis(table, kept, 1).T.copy() for table in (values, places))
        self.bound = torch.from_numpy(self.sign * self.values[-1]).to(self.bound.device)
        self.waiting = []
