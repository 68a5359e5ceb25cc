"""The largest values of each neuron, and where they are."""

import numpy as np
import torch

CONTEXTS = 16  # values that are kept per neuron
FEW = 1 / 8  # share of the neurons


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
        shape = (CONTEXTS, neurons)
        # Times the sign, from the largest down.
        self.values = np.full(shape, -np.inf, dtype=str(dtype).removeprefix("torch."))
        self.places = np.full(shape, -1, dtype=np.int64)
        self.bound = torch.full((neurons,), -sign * torch.inf, dtype=dtype, device=device)  # the last of these
        self.waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, values: torch.Tensor, extreme: torch.Tensor, places: np.ndarray) -> None:
        """Take values [tokens, neurons] that follow all earlier ones in the text.

        Args:
            extreme: [neurons], the largest, or smallest, of the values.
            places: [tokens]; −1 for tokens that take no part.
        """
        if self.places[-1].min() < 0 and len(values) > 4 * CONTEXTS:
            # At first every value is one of the largest; in halves, most of them no longer are.
            half = len(values) // 2
            for part in (slice(0, half), slice(half, None)):
                of_part = values[part].amax(0) if self.sign > 0 else values[part].amin(0)
                self.add(values[part], of_part, places[part])
            return
        beyond = torch.gt if self.sign > 0 else torch.lt
        columns = beyond(extreme, self.bound).nonzero().squeeze(1)
        if not len(columns):
            return
        if len(columns) < self.neurons * FEW:  # else it is faster to look at all than to take them out
            token, column = beyond(values.index_select(1, columns), self.bound[columns]).nonzero(as_tuple=True)
            neuron = columns[column]
        else:
            token, neuron = beyond(values, self.bound).nonzero(as_tuple=True)
        place = places[token.cpu().numpy()]
        known = place >= 0
        found = neuron.cpu().numpy(), self.sign * values[token, neuron].cpu().numpy(), place
        self.waiting.append(tuple(array[known] for array in found))
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
