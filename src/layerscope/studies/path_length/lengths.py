"""Path lengths of the streams, reduced layer by layer from the streams themselves.

For a stream x, the path length of layer l and token t is PL_x[l, t] = ‖x[l, t] − x[l−1, t]‖₂. The streams are attn_out,
mlp_out and resid_post; before layer 0 stands what enters it (resid_pre) for the residual stream, and nothing for the
two others, whose path length is NaN there.
"""

import numpy as np

SITES = ("resid_pre", "attn_out", "mlp_out", "resid_post")
QUANTITIES = ("path_attn", "path_mlp", "path_resid", "step_attn", "step_mlp", "cosine_attn_mlp")


class PathLengths:
    """Lengths of all layers for the tokens of a shard, filled batch by batch.

    ``values`` maps each of ``QUANTITIES`` to float32 [layers, tokens]: path lengths, the steps ‖attn_out‖ and
    ‖mlp_out‖, and the cosine between attn_out and mlp_out.
    """

    def __init__(self, layers: int, tokens: int) -> None:
        self.values = {name: np.full((layers, tokens), np.nan, dtype=np.float32) for name in QUANTITIES}
        self.before: dict[str, np.ndarray] = {}
        self.streams: dict[str, np.ndarray] = {}

    def receive(self, site: str, layer: int, values: np.ndarray, start: int) -> None:
        """Take a stream [tokens of the batch, width] of one layer; layers in order, ``resid_post`` last of a layer.

        Args:
            start: place of the batch's first token in the shard; rows beyond the shard's last token are dropped.
        """
        self.streams[site] = values
        if site == "resid_post":
            self._reduce(layer, start)

    def _reduce(self, layer: int, start: int) -> None:
        now = self.streams
        if layer == 0:
            self.before = {"resid_post": now["resid_pre"]}
        reduced = {f"path_{name}": self._path(site) for name, site in STREAMS.items()}
        reduced |= {"step_attn": _norm(now["attn_out"]), "step_mlp": _norm(now["mlp_out"])}
        dot = np.einsum("ij,ij->i", now["attn_out"], now["mlp_out"], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            reduced["cosine_attn_mlp"] = dot / (reduced["step_attn"] * reduced["step_mlp"])
        for name, lengths in reduced.items():
            row = self.values[name][layer]
            kept = min(len(lengths), len(row) - start)
            row[start : start + kept] = lengths[:kept]
        self.before = now
        self.streams = {}

    def _path(self, site: str) -> np.ndarray:
        if site not in self.before:
            return np.full(len(self.streams[site]), np.nan)
        return _norm(self.streams[site] - self.before[site])


STREAMS = {"attn": "attn_out", "mlp": "mlp_out", "resid": "resid_post"}


def _norm(values: np.ndarray) -> np.ndarray:
    """Euclidean norm of each row, in float64."""
    return np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
