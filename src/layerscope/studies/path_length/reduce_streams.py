"""From the streams of a batch to the quantities of its tokens, on the device that holds the streams."""

import numpy as np
import torch

from layerscope.model.finite import not_finite
from layerscope.studies.path_length.lengths import QUANTITIES, Values

# Whose streams in float64 stay in the cache of a CPU core: much faster than a whole batch. On a GPU, all at once.
CACHED_TOKENS = 64
# A stream with NaN or Inf, or the sum of squares of one, makes these so. In the order in which a block computes them.
CHECKS = {"step_attn": "attn_out", "step_mlp": "mlp_out", "path_resid": "resid_post"}


class PathLengths:
    """Quantities of all layers for the tokens of a shard, filled batch by batch.

    A batch leaves its device once, when its last layer is reduced: 6 numbers per layer and token, and none before, so
    that a GPU does not wait for the CPU in every layer.

    Args:
        model: name, for errors.
        layers, tokens: shape of ``quantities``, which are on the CPU.
    """

    def __init__(self, model: str, layers: int, tokens: int) -> None:
        self.model, self.layers = model, layers
        self.quantities: Values = {name: np.full((layers, tokens), np.nan, dtype=np.float32) for name in QUANTITIES}
        self.before: dict[str, torch.Tensor] = {}
        self.streams: dict[str, torch.Tensor] = {}
        self.batch: list[torch.Tensor] = []  # of each layer so far, float64 [quantities, tokens of the batch]

    def add(self, site: str, layer: int, stream: torch.Tensor, tokens: slice) -> None:
        """Take a stream [tokens of the batch, width] of one layer; layers in order, ``resid_post`` last of a layer.

        Norms and dot products are summed in float64, and their relative error is at most width × 2⁻⁵³ before they are
        rounded to float32. Differences of streams are taken in float32.

        Args:
            tokens: which of the shard's tokens these are.

        Raises:
            UserError: with the last layer, where a stream of the batch holds NaN or Inf.
        """
        self.streams[site] = stream.float()
        if site != "resid_post":
            return
        if layer == 0:
            self.entering = _norm(self.streams["resid_pre"])
            self.before = {"resid_post": self.streams["resid_pre"]}
        size = CACHED_TOKENS if stream.device.type == "cpu" else len(stream)
        parts = [slice(start, start + size) for start in range(0, len(stream), size)]
        self.batch.append(torch.cat([self._quantities(part) for part in parts], dim=1))
        self.before, self.streams = self.streams, {}
        if layer == self.layers - 1:
            found = dict(zip(QUANTITIES, torch.stack(self.batch, dim=1).cpu().numpy(), strict=True))
            self.before, self.batch = {}, []
            self._check(found)
            for name, values in found.items():
                self.quantities[name][:, tokens] = values

    def _quantities(self, part: slice) -> torch.Tensor:
        """Of some tokens and the layer whose streams are complete: float64 [quantities, tokens]."""
        attn, mlp = (self.streams[site][part].double() for site in ("attn_out", "mlp_out"))
        steps = torch.linalg.vector_norm(attn, dim=-1), torch.linalg.vector_norm(mlp, dim=-1)
        cosine = (attn * mlp).sum(-1) / (steps[0] * steps[1])
        paths = [self._path(site, part) for site in ("attn_out", "mlp_out", "resid_post")]
        return torch.stack([*paths, *steps, cosine])

    def _path(self, site: str, part: slice) -> torch.Tensor:
        stream = self.streams[site][part]
        if site not in self.before:
            return torch.full(stream.shape[:1], torch.nan, dtype=torch.float64, device=stream.device)
        return _norm(stream - self.before[site][part])

    def _check(self, found: Values) -> None:
        entering = self.entering.cpu().numpy()
        if not np.isfinite(entering).all():
            raise not_finite(self.model, "resid_pre", 0, entering, "tokens")
        if all(np.isfinite(found[name]).all() for name in CHECKS):
            return
        for layer in range(self.layers):
            for name, site in CHECKS.items():
                if not np.isfinite(found[name][layer]).all():
                    raise not_finite(self.model, site, layer, found[name][layer], "tokens")


def _norm(values: torch.Tensor) -> torch.Tensor:
    """Euclidean norm of each row, in float64."""
    return torch.linalg.vector_norm(values, dim=-1, dtype=torch.float64)
