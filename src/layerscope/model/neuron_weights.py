"""Weights of neurons of the MLP: what each reads from the residual stream, what it adds to it, and to the logits.

Nothing is computed by the model: weights are taken from its files, one layer at a time. Those of a model with random
weights are drawn as for its activations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from layerscope.io.errors import UserError
from layerscope.io.records import ModelRecord
from layerscope.model.fused import first_half
from layerscope.model.loading import load_base_model
from layerscope.model.model_config import architecture, read_model_config
from layerscope.model.onednn import OneDNNLinear
from layerscope.model.weights import WeightFiles, check_plain

NEURONS_AT_ONCE = 256  # whose logits are computed together: 51 MB for 50,000 types


@dataclass(frozen=True)
class LayerWeights:
    """Of the neurons of one layer, both float32 [neurons, hidden]."""

    into: torch.Tensor  # of a gated MLP: of the gate
    out: torch.Tensor  # where a norm comes before the stream, times the norm's weight

    def norms_and_cosine(self) -> dict[str, torch.Tensor]:
        """Of each neuron, float32 [neurons]: ``norm_in`` and ``norm_out`` (L2), and ``cosine_in_out`` of the two, NaN
        where one of them is zero."""
        norm_in, norm_out = self.into.norm(dim=1), self.out.norm(dim=1)
        cosine = (self.into * self.out).sum(dim=1) / (norm_in * norm_out)
        return {"norm_in": norm_in, "norm_out": norm_out, "cosine_in_out": cosine.clip(-1, 1)}


class NeuronWeights:
    """The weights of all neurons of a model, in the precision that the model runs in, on the CPU.

    All logits of the neurons of a model with 1.3 billion weights take eight cores some minutes: not worth a GPU.

    Args:
        record: from :func:`layerscope.fetch.models.fetch_model`.
        dtype: float32, float16 or bfloat16, that the model runs in.

    Raises:
        UserError: the architecture is not supported, or the weights are missing or damaged.
    """

    def __init__(self, record: ModelRecord, dtype: str) -> None:
        self.name, self.dtype = record["name"], getattr(torch, dtype)
        self.config: dict[str, Any] = read_model_config(record["path"])
        check_plain(self.name, self.config)
        self.architecture = architecture(self.name, self.config)
        self.weights: Mapping[str, torch.Tensor] | WeightFiles
        if record["weights"] == "random":
            self.weights, self.prefix = load_base_model(record, dtype, torch.device("cpu")).state_dict(), ""
        else:
            self.weights = WeightFiles(self.name, Path(record["path"]))
            self.prefix = self._prefix_of(self.weights, record["path"])

    @property
    def layers(self) -> int:
        return self.architecture.layers(self.name, self.config)

    def layer(self, layer: int) -> LayerWeights:
        """The weights of the neurons of a layer."""
        of, block = self.architecture, f"{self.prefix}{self.architecture.blocks}.{layer}."
        into = self._read(f"{block}{of.mlp_in.module}.weight")
        out = self._read(f"{block}{of.sites['mlp_post'].module}.weight")
        into, out = (into.T, out) if of.inputs_first else (into, out.T)
        if of.mlp_in.split is first_half:
            into = into[: len(into) // 2]
        if of.sites["mlp_out"].module != of.sites["mlp_post"].module:
            out = out * self._gain(f"{block}{of.sites['mlp_out'].module}")
        return LayerWeights(into, out)

    def unembedding(self, types: int) -> torch.Tensor | None:
        """What a vector that is added to the last residual stream adds to the logits: float32 [hidden, token types].

        It is the final norm without what depends on the data, and the unembedding after it: a LayerNorm takes the
        mean off and multiplies by its weight, an RMSNorm multiplies by its weight; neither is divided by the norm of
        the stream, which is the same for all neurons and types at a token.

        Args:
            types: token ids from there on belong to no token.

        Returns:
            None for a model without an unembedding: one that is neither in its files nor its embedding.
        """
        of, path = self.architecture.unembedding, self.architecture.unembedding.head
        if f"{path}.weight" not in self.weights:  # where the files have it, transformers ties nothing to it
            if not of.is_embedding(self.config):
                return None
            path = self.prefix + of.embedding
        unembedding = self._read(f"{path}.weight")[:types].T
        if of.projection and f"{self.prefix}{of.projection}.weight" in self.weights:
            unembedding = self._read(f"{self.prefix}{of.projection}.weight").T @ unembedding
        unembedding = unembedding * self._gain(f"{self.prefix}{of.final_norm}")[:, None]
        if self.architecture.norm == "LayerNorm":
            unembedding -= unembedding.mean(dim=0)
        return unembedding

    def _gain(self, norm: str) -> torch.Tensor:
        """What a norm multiplies by, [hidden]; 1 for one without weights."""
        if f"{norm}.weight" not in self.weights:
            return torch.ones(1)
        return self._read(f"{norm}.weight") + self.architecture.gain_offset

    def _read(self, name: str) -> torch.Tensor:
        """A weight, rounded as the model has it."""
        return self.weights[name].to(self.dtype).float()

    def _prefix_of(self, weights: WeightFiles, folder: str) -> str:
        """What the names of the base model's weights begin with in its files; it depends on how they were saved."""
        end = f"{self.architecture.unembedding.embedding}.weight"
        for weight in weights:
            if weight == end or weight.endswith(f".{end}"):
                return weight.removesuffix(end)
        raise UserError(f"models.{self.name}: {folder} lacks the weight {end}; fetch the model again")


def extreme_logits(
    out: torch.Tensor, unembedding: torch.Tensor, count: int
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The token types whose logits neurons raise and lower most, by one unit of their output (``mlp_post``).

    This is their direct effect, past all later layers: output weights × final norm × unembedding. As in the *logit
    lens* of nostalgebraist (2020) and in Dar et al. (2023), "Analyzing Transformers in Embedding Space".

    Args:
        out: output weights [neurons, hidden].
        unembedding: of :meth:`NeuronWeights.unembedding`, [hidden, token types].
        count: how many types of each kind, fewer if there are fewer.

    Returns:
        ``promoted`` (the largest first) and ``suppressed`` (the smallest first): the logits, float32, and the token
        ids, int64, both [neurons, count].
    """
    count = min(count, unembedding.shape[1])
    kinds = {"promoted": True, "suppressed": False}
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    project = OneDNNLinear(unembedding.T, None) if torch.backends.mkldnn.is_available() else lambda x: x @ unembedding
    for block in out.split(NEURONS_AT_ONCE):
        logits = project(block)
        for kind, largest in kinds.items():
            found[kind].append(logits.topk(count, dim=1, largest=largest))
    return {
        kind: (torch.cat([of.values for of in blocks]), torch.cat([of.indices for of in blocks]))
        for kind, blocks in found.items()
    }
