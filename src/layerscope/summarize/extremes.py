"""The largest values of each neuron, where they are, and what the neuron does around them."""

import numpy as np
import torch

from layerscope.summarize.neuron_sums import AFTER, BEFORE, CONTEXTS, WINDOW

PART = 16  # tokens, of which the largest is looked at first
UNSEEN = -1  # in place of the row of a window


class Extremes:
    """The ``CONTEXTS`` largest, or smallest, values of each neuron; of equal values the first are kept.

    Args:
        sign: 1 for the largest, −1 for the smallest.
        neurons: how many.
        dtype: of the values.
        device: of the values that are added.
        length: tokens of a sequence.
    """

    def __init__(self, sign: int, neurons: int, dtype: torch.dtype, device: torch.device, length: int) -> None:
        self.sign, self.neurons, self.length = sign, neurons, length
        self.beyond = torch.gt if sign > 0 else torch.lt
        shape, of_values = (CONTEXTS, neurons), str(dtype).removeprefix("torch.")
        # Times the sign, from the largest down.
        self.values = np.full(shape, -np.inf, dtype=of_values)
        self.tokens = np.full(shape, -1, dtype=np.int64)
        self.rows = np.full(shape, UNSEEN, dtype=np.int32)
        self.bound = torch.full((neurons,), -sign * torch.inf, dtype=dtype, device=device)  # the last of these
        # In one place from the start. Small arrays that stay lie scattered between those that passes of the model
        # allocate and free, and these then need ever more memory.
        fields = [("neuron", np.int32), ("value", of_values), ("token", np.int64), ("row", np.int32)]
        self.waiting, self.waits = np.empty(self.values.size, dtype=fields), 0
        # Of all that are kept or wait, where there is room, so that windows stay where they are.
        self.windows = np.empty((2 * self.values.size, WINDOW), np.float16)
        self.free, self.taken = np.arange(len(self.windows), dtype=np.int32), 0
        self.unseen = False  # whether some are kept without their windows

    def add(self, values: torch.Tensor, extremes: torch.Tensor, first: int, takes_part: np.ndarray) -> None:
        """Take values [tokens, neurons] of whole sequences that follow all earlier ones in the text.

        Args:
            extremes: [parts, neurons], the largest, or smallest, values of parts of the tokens, all of one size.
            first: number of the first token.
            takes_part: [tokens], bool; those that do not are not kept, but are in the windows of others.
        """
        waited = self.waits
        self._find(values, extremes, first, takes_part)
        # Only now, as most that are among the largest when they come are not in the end.
        if self.unseen:
            kept = np.nonzero((self.rows == UNSEEN) & (self.tokens >= 0))
            self.rows[kept] = self._rows_of(values, self.tokens[kept] - first, kept[1])
            waited, self.unseen = 0, False
        new = self.waiting[waited : self.waits]
        if len(new):
            new["row"] = self._rows_of(values, new["token"] - first, new["neuron"])

    def _find(self, values: torch.Tensor, extremes: torch.Tensor, first: int, takes_part: np.ndarray) -> None:
        if self.tokens[-1].min() < 0 and len(extremes) > 1:
            # At first every value is one of the largest. Of as many tokens as came before, half of the largest are new.
            size, taken = len(values) // len(extremes), 0
            while taken < len(extremes):
                parts = slice(taken, min(max(1, 2 * taken), len(extremes)))
                some = slice(parts.start * size, parts.stop * size)
                self._find(values[some], extremes[parts], first + some.start, takes_part[some])
                taken = parts.stop
            return
        part, neuron = self.beyond(extremes, self.bound).nonzero(as_tuple=True)
        if not len(part):
            return
        found = values.unflatten(0, (len(extremes), -1))[part, :, neuron]
        which, at = self.beyond(found, self.bound[neuron, None]).nonzero(as_tuple=True)
        new = np.empty(len(which), dtype=self.waiting.dtype)
        new["neuron"], new["value"] = neuron[which].cpu().numpy(), self.sign * found[which, at].cpu().numpy()
        token = (part[which] * found.shape[1] + at).cpu().numpy()
        new["token"], new["row"] = first + token, UNSEEN
        new = new[takes_part[token]]
        # Until they are merged, the bound is looser than it could be, and more are found than needed.
        if self.waits + len(new) > len(self.waiting) or self.tokens[-1].min() < 0:
            self.merge(new)
            self.unseen = True
        else:
            self.waiting[self.waits : self.waits + len(new)] = new
            self.waits += len(new)

    def merge(self, *new: np.ndarray) -> None:
        """Take in those that wait, and ``new`` ones, which follow them."""
        joined = np.concatenate([self.waiting[: self.waits], *new])
        if not len(joined):
            return
        neuron = joined["neuron"]
        order = np.argsort(neuron, kind="stable")
        counts = np.bincount(neuron, minlength=self.neurons)
        rank = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
        at = neuron[order], CONTEXTS + rank
        shape = (self.neurons, CONTEXTS + int(counts.max()))

        def with_kept(kept: np.ndarray, name: str, none: float) -> np.ndarray:
            table = np.full(shape, none, kept.dtype)
            table[:, :CONTEXTS], table[at] = kept.T, joined[name][order]
            return table

        values = with_kept(self.values, "value", -np.inf)
        kept = torch.sort(torch.from_numpy(values), descending=True, stable=True).indices[:, :CONTEXTS].numpy()
        self.values[:] = np.take_along_axis(values, kept, 1).T
        for of, name in ((self.tokens, "token"), (self.rows, "row")):
            of[:] = np.take_along_axis(with_kept(of, name, -1), kept, 1).T
        self.bound = torch.from_numpy(self.sign * self.values[-1]).to(self.bound.device)
        self.waits = 0
        free = np.ones(len(self.windows), bool)
        free[self.rows[self.rows != UNSEEN]] = False
        rows = np.flatnonzero(free)
        self.free[: len(rows)], self.taken = rows, 0

    def _rows_of(self, values: torch.Tensor, tokens: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Keep the windows of some neurons around some of the ``values``' tokens; the rows that they are put into."""
        rows = self.free[self.taken : self.taken + len(tokens)]
        self.taken += len(rows)
        self.windows[rows] = windows_around(values, tokens, neurons, self.length)
        return rows

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values and numbers of tokens [contexts, neurons], and windows [contexts, tokens of a window, neurons]."""
        self.merge()
        windows = self.windows[self.rows]
        windows[self.rows == UNSEEN] = np.nan
        return self.sign * self.values, self.tokens, np.ascontiguousarray(windows.transpose(0, 2, 1))


def windows_around(values: torch.Tensor, tokens: np.ndarray, neurons: np.ndarray, length: int) -> np.ndarray:
    """Values of some neurons at and around some tokens: [windows, tokens of a window], float16.

    Those beyond the range of float16 are its largest number, or its smallest; NaN outside the sequence.

    Args:
        values: [tokens, neurons], of whole sequences.
        tokens: [windows], indices of ``values``, and
        neurons: likewise.
        length: tokens of a sequence.
    """
    if len(values) < WINDOW:
        values = torch.nn.functional.pad(values, (0, 0, 0, WINDOW - len(values)))
    at, neuron = (torch.from_numpy(indices).to(values.device) for indices in (tokens, neurons))
    around = torch.arange(-BEFORE, AFTER + 1, device=values.device)
    # Views of all windows, of which some are copied: half the time of an index for every number. At the ends of
    # ``values``, the window is moved.
    first = (at - BEFORE).clamp(0, len(values) - WINDOW)
    windows = values.unfold(0, WINDOW, 1)[first, neuron]
    moved = (first != at - BEFORE).nonzero()[:, 0]
    windows[moved] = windows[moved].gather(1, (at[moved, None] + around - first[moved, None]).clamp(0, WINDOW - 1))
    places = at % length
    edge = ((places < BEFORE) | (places >= length - AFTER)).nonzero()[:, 0]
    of_edge = places[edge, None] + around
    windows[edge] = windows[edge].masked_fill((of_edge < 0) | (of_edge >= length), torch.nan)
    limit = torch.finfo(torch.float16).max
    return windows.clamp_(-limit, limit).half().cpu().numpy()
