"""What is known of each supported architecture: where each site is in its blocks, and what its config.json says.

Sites are those of TransformerLens: ``mlp_pre`` is what enters the non-linearity (of a gated MLP: the gate),
``mlp_post`` what enters the MLP's output projection, ``q``/``k``/``v`` are taken before rotary embedding, ``attn_out``
and ``mlp_out`` are what is added to the residual stream, ``resid_pre`` and ``resid_post`` the stream before and after
the block.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

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
class Names:
    """What an architecture calls the numbers in its config.json; transformers knows most by the names here too."""

    layers: str = "num_hidden_layers"
    hidden: str = "hidden_size"
    heads: str = "num_attention_heads"
    inner: str = "intermediate_size"  # width of the MLP
    positions: str = "max_position_embeddings"
    epsilon: str = "rms_norm_eps"  # of the norms


COMMON = Names()
KEY_VALUE_HEADS, HEAD, VOCABULARY = "num_key_value_heads", "head_dim", "vocab_size"
WINDOWS = ("window_size", "sliding_window")


@dataclass(frozen=True)
class Architecture:
    """Where things are, by paths within the base model or a block, and what follows from a config.json.

    The methods take the config.json of a model as a dictionary. Those that give the width of a site, windows, or parts
    of the norm need one that is filled in, as transformers holds it (``config.to_dict()``).
    """

    blocks: str  # path of the block list within the base model
    sites: dict[str, Tap]
    mlp_norm: str  # path within the block of the norm before the MLP
    mlp_in: str  # and of the linear layer that mlp_pre comes from
    final_norm: str  # path within the base model of the norm before the unembedding
    embedding: str  # and of the embedding of tokens
    head: str = "lm_head"  # path of the unembedding within the language model
    tied: bool = False  # whether that is the embedding, where config.json does not say
    inputs_first: bool = False  # whether a block's weights are [inputs, outputs], not [outputs, inputs]
    attention: Literal["sdpa", "eager"] = "sdpa"  # stated in every load: a config.json could name code on the hub
    norm: Literal["LayerNorm", "RMSNorm"] = "LayerNorm"
    names: Names = COMMON
    parallel_key: str | None = None  # says whether attention and MLP read the same stream

    def layers(self, model: str, config: Mapping[str, Any]) -> int:
        """How many layers a model has.

        Raises:
            UserError: it does not say.
        """
        found = count(model, config, self.names.layers, COMMON.layers)
        if found is None:
            raise UserError(
                f"config: models.{model}.source: its config.json names no number of layers (num_hidden_layers)"
            )
        return found

    def positions(self, model: str, config: Mapping[str, Any]) -> int | None:
        """How many tokens a model takes at most; None where it names no limit.

        Raises:
            UserError: what it names is no count.
        """
        return count(model, config, self.names.positions, COMMON.positions)

    def vocabulary(self, model: str, config: Mapping[str, Any]) -> int:
        """How many tokens a model knows.

        Raises:
            UserError: it does not say.
        """
        found = count(model, config, VOCABULARY)
        if found is None:
            raise UserError(f"config: models.{model}.source: its config.json names no {VOCABULARY}")
        return found

    def width(self, config: Mapping[str, Any], site: str) -> int:
        """Numbers that a site has for each token."""
        hidden, heads = config[self.names.hidden], config[self.names.heads]
        head = config.get(HEAD) or hidden // heads
        match site:
            case "mlp_pre" | "mlp_post":
                return config.get(self.names.inner) or 4 * hidden
            case "q":
                return head * heads
            case "k" | "v":
                return head * (config.get(KEY_VALUE_HEADS) or heads)
        return hidden

    def windows(self, config: Mapping[str, Any]) -> dict[int, int]:
        """Layer → how many tokens its attention reaches back, itself included, of layers whose block sees to that.

        GPT-Neo's alone: those of Mistral and Qwen2 come with a mask that is made outside of their blocks.
        """
        kinds = config.get("attention_layers", ())
        return {layer: config["window_size"] for layer, kind in enumerate(kinds) if kind == "local"}

    def ties_embeddings(self, config: Mapping[str, Any]) -> bool:
        """Whether the unembedding is the embedding of tokens."""
        return bool(config.get("tie_word_embeddings", self.tied))

    def parallel_residual(self, config: Mapping[str, Any]) -> bool:
        """Whether the MLP reads what enters the block, and not what attention has added to."""
        return self.parallel_key is not None and config[self.parallel_key]

    def epsilon(self, config: Mapping[str, Any]) -> float:
        """What the norms add to the variance."""
        return config[self.names.epsilon]


def _architecture(
    blocks: str,
    qkv: dict[str, Tap],
    attn_projection: str,
    mlp_norm: str,
    mlp_in: str,
    mlp_projection: str,
    final_norm: str,
    embedding: str,
    **others: Any,
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
        final_norm,
        embedding,
        **others,
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
    "norm",
    "embed_tokens",
    norm="RMSNorm",
)

ARCHITECTURES = {
    "gpt_neo": _architecture(
        "h",
        _separate("attn.attention"),
        "attn.attention.out_proj",
        "ln_2",
        "mlp.c_fc",
        "mlp.c_proj",
        "ln_f",
        "wte",
        tied=True,
        attention="eager",  # transformers has no other for it
        names=Names(layers="num_layers", heads="num_heads", epsilon="layer_norm_epsilon"),
    ),
    "gpt2": _architecture(
        "h",
        _fused("attn.c_attn", third),
        "attn.c_proj",
        "ln_2",
        "mlp.c_fc",
        "mlp.c_proj",
        "ln_f",
        "wte",
        tied=True,
        inputs_first=True,
        names=Names("n_layer", "n_embd", "n_head", "n_inner", "n_positions", "layer_norm_epsilon"),
    ),
    "gpt_neox": _architecture(
        "layers",
        _fused("attention.query_key_value", third_of_each_head),
        "attention.dense",
        "post_attention_layernorm",
        "mlp.dense_h_to_4h",
        "mlp.dense_4h_to_h",
        "final_layer_norm",
        "embed_in",
        head="embed_out",
        names=Names(epsilon="layer_norm_eps"),
        parallel_key="use_parallel_residual",
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
        unsupported = f"architecture '{model_type}' is not supported"
        what = "its config.json names no model_type" if model_type is None else unsupported
        raise UserError(f"models.{model}: {what}; supported are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[model_type]


def count(model: str, config: Mapping[str, Any], *keys: str) -> int | None:
    """The value of the first of ``keys`` that a config.json has; None where it has none, or null.

    Raises:
        UserError: it is no count.
    """
    key = next((key for key in keys if key in config), keys[0])
    value = config.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(
            f"config: models.{model}.source: its config.json has {key}: {json.dumps(value)[:80]}; "
            "an integer of at least 1 is needed"
        )
    return value
