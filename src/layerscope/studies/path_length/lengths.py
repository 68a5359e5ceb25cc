"""Path lengths of the streams, reduced layer by layer from the streams themselves.

For a stream x, the path length of layer l and token t is PL_x[l, t] = ‖x[l, t] − x[l−1, t]‖₂. The streams are attn_out,
mlp_out and resid_post. Before layer 0 the residual stream is what enters it (resid_pre); the two others have nothing
there, and their path length is NaN.
"""

from collections.abc import Iterable

import numpy as np

SITES = ("resid_pre", "attn_out", "mlp_out", "resid_post")
QUANTITIES = ("path_attn", "path_mlp", "path_resid", "step_attn", "step_mlp", "cosine_attn_mlp")
STREAMS = {"attn": "attn_out", "mlp": "mlp_out", "resid": "resid_post"}

Values = dict[str, np.ndarray]  # each of QUANTITIES, float32 [layers, tokens]


class PathLengths:
    """Lengths of all layers for the tokens of a shard, filled batch by batch.

    ``values`` maps each of ``QUANTITIES`` to float32 [layers, tokens]: path lengths, the steps ‖attn_out‖ and
    ‖mlp_out‖, and the cosine between attn_out and mlp_out.
    """

    def __init__(self, layers: int, tokens: int) -> None:
        self.values: Values = {name: np.full((layers, tokens), np.nan, dtype=np.float32) for name in QUANTITIES}
        self.before: dict[str, np.ndarray] = {}
        self.streams: dict[str, np.ndarray] = {}

    def add(self, site: str, layer: int, values: np.ndarray, tokens: slice) -> None:
        """Take a stream [tokens of the batch, width] of one layer; layers in order, ``resid_post`` last of a layer.

        Args:
            tokens: which of the shard's tokens these are.
        """
        self.streams[site] = values
        if site == "resid_post":
            self._reduce(layer, tokens)

    def _reduce(self, layer: int, tokens: slice) -> None:
        now = self.streams
        if layer == 0:
            self.before = {"resid_post": now["resid_pre"]}
        reduced = {f"path_{name}": self._path(site) for name, site in STREAMS.items()}
        reduced |= {"step_attn": _norm(now["attn_out"]), "step_mlp": _norm(now["mlp_out"])}
        dot = np.einsum("ij,ij->i", now["attn_out"], now["mlp_out"], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            reduced["cosine_attn_mlp"] = dot / (reduced["step_attn"] * reduced["step_mlp"])
        for name, lengths in reduced.items():
            self.values[name][layer, tokens] = lengths
        self.before = now
        self.streams = {}

    def _path(self, site: str) -> np.ndarray:
        if site not in self.before:
            return np.full(len(self.streams[site]), np.nan)
        return _norm(self.streams[site] - self.before[site])


def join(parts: Iterable[Values]) -> Values:
    """Quantities of several shards, in order, as those of one."""
    parts = list(parts)
    return {name: np.concatenate([values[name] for values in parts], axis=1) for name in QUANTITIES}


def _norm(values: np.ndarray) -> np.ndarray:
    """Euclidean norm of each row, in float64."""
    return np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
