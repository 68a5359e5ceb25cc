"""The reducer that makes the summary of a shard while the model runs, on the device that computes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from layerscope.model.finite import not_finite
from layerscope.stats.document_clusters import document_clusters
from layerscope.summarize.covariates import Covariates
from layerscope.summarize.extremes import PART, Extremes
from layerscope.summarize.neuron_sums import CONTEXTS, POWERS, WINDOW, NeuronSums
from layerscope.summarize.token_classes import NO_CLASS
from layerscope.summarize.token_sums import TokenSums, places_of
from layerscope.tokenize.token_shards import Tokens


class SummaryReducer:
    """A reducer whose result is, of one site, the sums of tokens and those of the neurons of each layer.

    Products of a batch are taken in the precision of the activations, at least float32; their sums over batches are
    float64, except those of classes of tokens, which are many and small.

    Args:
        site: which one.
        model: name of the model, for error lines.
        tokens: of all rows of the run.
        sequence_length: of a row.
        classes: [types], of :func:`.token_classes`.
        covariates: of the tokens.
        neurons: of all layers together.
    """

    def __init__(
        self,
        site: str,
        model: str,
        tokens: Tokens,
        sequence_length: int,
        classes: np.ndarray,
        covariates: Covariates,
        neurons: int,
    ) -> None:
        self.sites: Sequence[str] = (site,)
        self.model, self.length = model, sequence_length
        self.covariates, self.tokens = covariates, tokens
        self.places, of_tokens = places_of(tokens, sequence_length), classes[tokens.input_ids]
        self.sums = TokenSums.of(tokens, of_tokens, covariates.of_tokens(tokens, sequence_length))
        self.takes_part = of_tokens != NO_CLASS
        # Tokens that take part in nothing are added to a class beyond the last, which is left away.
        self.classes = np.where(
            self.takes_part, np.searchsorted(self.sums.classes, of_tokens), len(self.sums.classes)
        ).astype(np.int64)
        # They are in the cluster of their document, where they add nothing, if others of it take part.
        clusters = document_clusters(tokens.document)
        cluster = np.minimum(np.searchsorted(self.sums.clusters, clusters), len(self.sums.clusters) - 1)
        self.clusters = np.where(self.takes_part, cluster, -1)
        self.size = summary_bytes(neurons, self.sums)
        self.layers: dict[int, _Layer] = {}
        self.batch: _Batch | None = None
        self.buffers: list[torch.Tensor] = []  # two, which all layers use

    def receive(self, site: str, layer: int, tensor: torch.Tensor, rows: slice) -> None:
        values = tensor.flatten(0, 1)
        values = values if values.dtype == torch.float64 else values.float()
        if self.batch is None or self.batch.rows != rows:
            self.batch = self._batch_of(rows, values)
        batch = self.batch
        if layer not in self.layers:
            self.layers[layer] = _Layer(values, self.sums, self.length)
        parts = values.unflatten(0, (-1, math.gcd(len(values), PART)))
        largest, smallest = parts.amax(1), parts.amin(1)
        # If any value is not finite, neither is this sum; it may also overflow where all of them are.
        if not math.isfinite(largest.sum() + smallest.sum()) and not values.isfinite().all():
            raise not_finite(self.model, site, layer, values.float().cpu().numpy())
        if not self.buffers or self.buffers[0].shape != values.shape:
            self.buffers = [torch.empty_like(values) for _ in range(2)]
        self.layers[layer].add(values, largest, smallest, batch, *self.buffers)

    def _batch_of(self, rows: slice, values: torch.Tensor) -> "_Batch":
        tokens = slice(rows.start * self.length, rows.stop * self.length)
        device = values.device
        covariates = self.covariates.of_tokens(self.tokens.part(tokens.start, tokens.stop), self.length)
        cluster = self.clusters[tokens]
        # Documents follow each other, so tokens of a cluster lie together; those of none join their neighbours.
        known = cluster >= 0
        cluster = cluster[np.maximum.accumulate(np.where(known, np.arange(len(cluster)), 0))]
        ends = np.r_[np.flatnonzero(np.diff(cluster)) + 1, len(cluster)]
        runs = [
            (start, stop, int(cluster[start]))
            for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
            if cluster[start] >= 0
        ]
        return _Batch(
            rows,
            torch.from_numpy(covariates).to(device, values.dtype),
            torch.from_numpy(self.classes[tokens]).to(device),
            runs,
            torch.from_numpy(np.flatnonzero(~self.takes_part[tokens])).to(device),
            tokens.start,
            self.takes_part[tokens],
        )

    def finish(self) -> tuple[TokenSums, dict[int, NeuronSums]]:
        return self.sums, {
            layer: state.finish(self.places, self.tokens.input_ids) for layer, state in sorted(self.layers.items())
        }


@dataclass(frozen=True)
class _Batch:
    """What all layers need to know of the tokens of a batch."""

    rows: slice
    covariates: torch.Tensor  # [tokens, covariates]
    classes: torch.Tensor  # [tokens], indices of sums
    runs: list[tuple[int, int, int]]  # start, stop and index of the cluster
    left_out: torch.Tensor  # tokens that take part in nothing
    first: int  # number of the first token
    takes_part: np.ndarray  # [tokens], bool


class _Layer:
    """Sums of one layer."""

    def __init__(self, values: torch.Tensor, sums: TokenSums, length: int) -> None:
        neurons, dtype, device = values.shape[1], values.dtype, values.device
        self.pilot, self.has_pilot = torch.zeros(neurons, dtype=dtype, device=device), False
        rows = sums.cluster_products.shape[-1] + len(POWERS)
        self.clusters = torch.zeros((len(sums.clusters), rows, neurons), dtype=torch.float64, device=device)
        self.classes = torch.zeros((len(sums.classes) + 1, neurons), dtype=dtype, device=device)
        self.most, self.least = (Extremes(sign, neurons, dtype, device, length) for sign in (1, -1))

    def add(
        self,
        values: torch.Tensor,
        largest: torch.Tensor,
        smallest: torch.Tensor,
        batch: _Batch,
        x: torch.Tensor,
        square: torch.Tensor,
    ) -> None:
        """Take values [tokens, neurons].

        Args:
            largest: [parts, neurons], of each part of the tokens.
            smallest: likewise.
            batch: of the tokens.
            x: memory of the shape of the values, and
            square: likewise; to allocate them each time would take as long as the sums.
        """
        if not batch.runs:  # no token takes part
            return
        if not self.has_pilot:
            # Tokens that are left out, such as a first special one, may have massive activations.
            takes_part = torch.ones(len(values), dtype=torch.bool, device=values.device)
            takes_part[batch.left_out] = False
            self.pilot = values[takes_part].mean(0, dtype=torch.float64).to(values.dtype)
            self.has_pilot = True
        torch.sub(values, self.pilot, out=x)
        x[batch.left_out] = 0
        self.classes.index_add_(0, batch.classes, x)
        for start, stop, cluster in batch.runs:
            self.clusters[cluster, : -len(POWERS)] += batch.covariates[start:stop].T @ x[start:stop]
        self._add_power("square", torch.mul(x, x, out=square), batch)
        self._add_power("cube", x.mul_(square), batch)
        self._add_power("fourth", square.mul_(square), batch)
        self.most.add(values, largest, batch.first, batch.takes_part)
        self.least.add(values, smallest, batch.first, batch.takes_part)

    def _add_power(self, name: str, values: torch.Tensor, batch: _Batch) -> None:
        row = POWERS.index(name) - len(POWERS)
        for start, stop, cluster in batch.runs:
            self.clusters[cluster, row] += values[start:stop].sum(0)

    def finish(self, places: np.ndarray, ids: np.ndarray) -> NeuronSums:
        """The sums; ``places`` and ``ids`` are those of the tokens, in the order of the text."""
        extremes: dict[str, np.ndarray] = {}
        for name, found in (("most", self.most), ("least", self.least)):
            value, token, window = found.finish()
            extremes |= {f"{name}_value": value, f"{name}_window": window}
            for what, of_tokens in (("place", places), ("token", ids)):
                extremes[f"{name}_{what}"] = np.where(token >= 0, of_tokens[token], -1).astype(of_tokens.dtype)
        return NeuronSums(
            pilot=self.pilot.cpu().numpy(),
            cluster_sums=self.clusters.cpu().numpy(),
            class_sums=self.classes[:-1].cpu().numpy(),
            **extremes,
        )


def summary_bytes(neurons: int, tokens: TokenSums) -> int:
    """Bytes of a summary in float32 of ``neurons`` in all."""
    of_clusters = len(tokens.clusters) * (tokens.cluster_products.shape[-1] + len(POWERS))
    numbers = 1 + of_clusters + len(tokens.classes)
    return neurons * (4 * numbers + 2 * CONTEXTS * (4 + 8 + 4 + 2 * WINDOW)) + tokens.class_products.nbytes
