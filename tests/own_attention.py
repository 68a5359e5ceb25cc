"""What attention adds to the residual stream, computed from stored q, k and v in float64, without transformers.

Written down from the papers of each architecture: which norms q and k get before the dot product, how positions enter,
by what scores are scaled and capped, and what is masked. So it also says what ``q`` and ``k`` are: what comes before.
"""

from typing import Any

import torch
from tiny_models import WINDOW
from torch import nn

HEADS = 4
# Layers with a window, as the tiny models are configured.
WINDOWED = {
    "gpt_neo": (1, 3),
    "mistral": (0, 1, 2),
    "qwen2": (1, 2),
    "qwen3": (1, 2),
    "gemma2": (0, 2),
    "gemma3_text": (0, 1, 3),
    "phi3": (0, 1, 2),
    "starcoder2": (0, 1, 2),
}
WINDOW_SIZE = {name: 256 if name == "gpt_neo" else WINDOW for name in WINDOWED}
PROJECTION = {
    "gpt_neo": "attn.attention.out_proj",
    "gpt2": "attn.c_proj",
    "gptj": "attn.out_proj",
    "gpt_neox": "attention.dense",
    "opt": "self_attn.out_proj",
    "falcon": "self_attention.dense",
}  # of all others self_attn.o_proj
ROTATED = {"gpt_neox": 2, "gptj": 4}  # dimensions of a head; of all others that rotate, all


def rms(x: torch.Tensor, gain: torch.Tensor, eps: float) -> torch.Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + eps).sqrt() * gain.double()


def rotated(x: torch.Tensor, count: int, theta: float, pairs: bool) -> torch.Tensor:
    """Rotate the first dimensions [..., tokens, head] by angles that grow with the position (RoPE, Su et al. 2021).

    Dimension i goes with the next (``pairs``: GPT-J) or with the one half of ``count`` further (all others).
    """
    first = torch.arange(0, count, 2) if pairs else torch.arange(count // 2)
    second = first + 1 if pairs else first + count // 2
    frequencies = theta ** (-torch.arange(0, count, 2, dtype=torch.float64) / count)
    angles = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * frequencies
    out = x.clone()
    out[..., first] = x[..., first] * angles.cos() - x[..., second] * angles.sin()
    out[..., second] = x[..., second] * angles.cos() + x[..., first] * angles.sin()
    return out


def own_attn_out(
    name: str, block: Any, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, size: int
) -> torch.Tensor:
    """attn_out [sequences, tokens, width] of a layer of a tiny model.

    Args:
        name: of the case.
        block: of the plain model, of which the weights are taken.
        q, k, v: [sequences, tokens, width].
        size: numbers of a head.
    """
    q, k, v, kind = q.double(), k.double(), v.double(), name.split(",")[0]
    if kind == "olmo2":
        q, k = (rms(x, getattr(block.self_attn, f"{part}_norm").weight, 1e-5) for part, x in (("q", q), ("k", k)))
    q, k, v = (x.unflatten(-1, (-1, size)).transpose(1, 2) for x in (q, k, v))
    if kind in ("qwen3", "gemma3_text"):
        one = int(kind == "gemma3_text")
        q, k = (rms(x, one + getattr(block.self_attn, f"{part}_norm").weight, 1e-6) for part, x in (("q", q), ("k", k)))
    if kind not in ("gpt_neo", "gpt2", "opt") and "ALiBi" not in name:
        theta = 1e6 if kind == "gemma3_text" and layer not in WINDOWED[kind] else 1e4
        q, k = (rotated(x, ROTATED.get(kind, size), theta, kind == "gptj") for x in (q, k))
    k, v = (x.repeat_interleave(HEADS // x.shape[1], dim=1) for x in (k, v))
    scale = {"gpt_neo": 1, "gemma2": 10**0.5, "gemma3_text": 10**0.5}.get(kind, size**0.5)
    scores = q @ k.transpose(-1, -2)
    tokens = torch.arange(q.shape[-2])
    if "ALiBi" in name:  # Press et al. 2022: a slope of each head times the distance; Falcon scales it with the scores
        slopes = torch.tensor([2.0 ** (-8 * head / HEADS) for head in range(1, HEADS + 1)], dtype=torch.float64)
        scores = scores - slopes[:, None, None] * (tokens[:, None] - tokens)
    scores = scores / scale
    if kind == "gemma2":
        scores = 1.5 * torch.tanh(scores / 1.5)
    back = tokens[:, None] - tokens
    seen = back >= 0
    if layer in WINDOWED.get(kind, ()):
        seen &= back < WINDOW_SIZE[kind]
    mixed = (scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v).transpose(1, 2).flatten(-2)
    projection: nn.Module = block.get_submodule(PROJECTION.get(kind, "self_attn.o_proj"))
    weight = projection.weight.double() if kind == "gpt2" else projection.weight.double().T
    added = mixed @ weight + (0 if projection.bias is None else projection.bias.double())
    if kind in ("gemma2", "gemma3_text", "olmo2"):
        norm = block.post_attention_layernorm.weight
        added = rms(added, norm if kind == "olmo2" else 1 + norm, 1e-5 if kind == "olmo2" else 1e-6)
    return added
