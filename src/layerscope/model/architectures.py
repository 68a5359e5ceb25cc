"""Where each site is in the blocks of each supported architecture.

Sites are those of TransformerLens: ``mlp_pre`` is what enters the non-linearity (of a gated MLP: the gate),
``mlp_post`` what enters the MLP's output projection, ``q``/``k``/``v`` are taken before rotary embedding, ``attn_out``
and ``mlp_out`` are what is added to the residual stream, ``resid_pre`` and ``resid_post`` the stream before and after
the block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from layerscope.io.errors import UserError

if TYPE_CHECKING:  # read before any job, too, where a second to import torch would be felt
    import torch
    from torch import nn

Split = Callable[["torch.Tensor", "nn.Module"], "torch.Tensor"]


@dataclass(frozen=True)
class Tap:
    """A tensor that passes through a block: the input or the output of one of its modules."""

    module: str  # path within the block; "" is the block itself
    side: Literal["input", "output"]
    split: Split | None = None  # takes the wanted part out of a fused projection


def third(part: int, tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """Q, K or V of a projection laid out [Q of all heads | K of all heads | V of all heads]."""
    return tensor.chunk(3, dim=-1)[part]


def third_of_each_head(part: int, tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """Q, K or V of a projection laid out head by head, [Q | K | V] within each head."""
    heads = tensor.unflatten(-1, (-1, 3, block.get_submodule("attention").head_size))
    return heads[..., part, :].flatten(-2)


@dataclass(frozen=True)
class Architecture:
    blocks: str  # path of the block list within the base model
    sites: dict[str, Tap]
    mlp_norm: str  # path within the block of the norm before the MLP
    mlp_in: str  # and of the linear layer that mlp_pre comes from
    attention: Literal["sdpa", "eager"] = "sdpa"  # stated in every load: a config.json could name code on the hub


def _architecture(
    blocks: str,
    qkv: dict[str, Tap],
    attn_projection: str,
    mlp_norm: str,
    mlp_in: str,
    mlp_projection: str,
    attention: Literal["sdpa", "eager"] = "sdpa",
) -> Architecture:
    return Architecture(
        blocks,
        {
            "mlp_pre": Tap(mlp_in, "output"),
            "mlp_post": Tap(mlp_projection, "input"),
            **qkv,
            "attn_out": Tap(attn_projection, "output"),
            "mlp_out": Tap(mlp_projection, "output"),
            "resid_pre": Tap("", "input"),
            "resid_post": Tap("", "output"),
        },
        mlp_norm,
        mlp_in,
        attention,
    )


def _fused(module: str, split: Callable[..., "torch.Tensor"]) -> dict[str, Tap]:
    return {site: Tap(module, "output", partial(split, i)) for i, site in enumerate("qkv")}


def _separate(attention: str) -> dict[str, Tap]:
    return {site: Tap(f"{attention}.{site}_proj", "output") for site in "qkv"}


LLAMA = _architecture(
    "layers",
    _separate("self_attn"),
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.down_proj",
)

ARCHITECTURES = {
    "gpt_neo": _architecture(
        "h",
        _separate("attn.attention"),
        "attn.attention.out_proj",
        "ln_2",
        "mlp.c_fc",
        "mlp.c_proj",
        attention="eager",  # transformers has no other for it
    ),
    "gpt2": _architecture("h", _fused("attn.c_attn", third), "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"),
    "gpt_neox": _architecture(
        "layers",
        _fused("attention.query_key_value", third_of_each_head),
        "attention.dense",
        "post_attention_layernorm",
        "mlp.dense_h_to_4h",
        "mlp.dense_4h_to_h",
    ),
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
}

SITES = tuple(LLAMA.sites)


def architecture_of(model_type: object, model: str) -> Architecture:
    """The architecture of a model by the ``model_type`` of its config.json.

    Raises:
        UserError: it is not supported; the line lists what is.
    """
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise UserError(
            f"models.{model}: architecture '{model_type}' is not supported; supported are {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[model_type]
