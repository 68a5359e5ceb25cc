"""What an architecture is: where each site is in its blocks, and what its config.json says.

Sites are those of TransformerLens: ``mlp_pre`` is what enters the non-linearity (of a gated MLP: the gate),
``mlp_post`` what enters the MLP's output projection, ``q``/``k``/``v`` what their projections put out (before norms of
q and k, and before rotary embedding), ``attn_out`` and ``mlp_out`` are what is added to the residual stream (after a
norm, where one comes between), ``resid_pre`` and ``resid_post`` the stream before and after the block. A gated MLP has
two more, with mlp_post = act(mlp_gate) · mlp_up: ``mlp_gate``, which is its ``mlp_pre``, and ``mlp_up``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from layerscope.io.errors import UserError

if TYPE_CHECKING:  # read before any job, too, where a second to import torch would be felt
    import torch
    from torch import nn

Split = Callable[["torch.Tensor", "nn.Module"], "torch.Tensor"]
Config = Mapping[str, Any]  # a config.json
Site = Literal[
    "mlp_pre",
    "mlp_post",
    "mlp_gate",
    "mlp_up",
    "q",
    "k",
    "v",
    "attn_out",
    "mlp_out",
    "resid_pre",
    "resid_post",
]
SITES: tuple[str, ...] = get_args(Site)
OF_GATED = ("mlp_gate", "mlp_up")  # which MLPs without a gate do not have
OF_NEURONS = ("mlp_pre", "mlp_post", *OF_GATED)


@dataclass(frozen=True)
class Tap:
    """A tensor that passes through a block: the input or the output of one of its modules."""

    module: str  # path within the block; "" is the block itself
    side: Literal["input", "output"]
    split: Split | None = None  # takes the wanted part out of a fused projection
    flattened: bool = False  # the module sees [batch · sequence, width]


@dataclass(frozen=True)
class Names:
    """What an architecture calls the numbers in its config.json; transformers knows most by the names here too."""

    layers: str = "num_hidden_layers"
    hidden: str = "hidden_size"
    heads: str = "num_attention_heads"
    inner: str = "intermediate_size"  # width of the MLP
    positions: str = "max_position_embeddings"
    epsilon: str | float = "rms_norm_eps"  # of the norms; a number where config.json names none


@dataclass(frozen=True)
class Windows:
    """What an architecture calls the windows of its attention in its config.json."""

    size: str = "sliding_window"
    kinds: str | None = "layer_types"  # a list with the kind of each layer; None: all have the window
    kind: str = "sliding_attention"  # of layers that have the window


@dataclass(frozen=True)
class Unembedding:
    """Where an architecture turns the residual stream into logits; paths within the base model, but for ``head``."""

    final_norm: str
    embedding: str  # of tokens
    head: str = "lm_head"  # path of the unembedding within the language model
    tied: bool = False  # whether that is the embedding, where config.json does not say
    projection: str | None = None  # between the norm and the head, where a model has one

    def is_embedding(self, config: Config) -> bool:
        """Whether the unembedding is the embedding of tokens."""
        return bool(config.get("tie_word_embeddings", self.tied))


COMMON = Names()
KEY_VALUE_HEADS, HEAD, VOCABULARY = "num_key_value_heads", "head_dim", "vocab_size"
WINDOWS = ("window_size", "sliding_window")


def never(config: Config) -> bool:
    return False


def key_value_heads(config: Config) -> int | None:
    return config.get(KEY_VALUE_HEADS)


@dataclass(frozen=True)
class Architecture:
    """Where things are, by paths within the base model or a block, and what follows from a config.json.

    The methods take the config.json of a model as a dictionary. Those that give the width of a site, windows, or parts
    of the norm need one that is filled in, as transformers holds it (``config.to_dict()``).
    """

    blocks: str  # path of the block list within the base model
    sites: dict[str, Tap]
    attn_projection: str  # path within the block of attention's output projection
    mlp_norm: str | Callable[[Config], str] | None  # of the norm before the MLP, if there is one
    mlp_in: Tap  # of the linear layer that mlp_pre comes from
    unembedding: Unembedding
    inputs_first: bool = False  # whether a block's weights are [inputs, outputs], not [outputs, inputs]
    attention: Literal["sdpa", "eager"] = "sdpa"  # stated in every load: a config.json could name code on the hub
    norm: Literal["LayerNorm", "RMSNorm"] = "LayerNorm"
    gain_offset: int = 0  # what the norms add to their weight
    names: Names = COMMON
    key_value_heads: Callable[[Config], int | None] = key_value_heads  # None: as many as heads
    parallel: Callable[[Config], bool] = never  # whether attention and MLP read the same stream
    windows_by: Windows | None = None
    required: dict[str, object] = field(default_factory=dict)  # values of keys without which sites mean something else

    def layers(self, model: str, config: Config) -> int:
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

    def positions(self, model: str, config: Config) -> int | None:
        """How many tokens a model takes at most; None where it names no limit.

        Raises:
            UserError: what it names is no count.
        """
        return count(model, config, self.names.positions, COMMON.positions)

    def vocabulary(self, model: str, config: Config) -> int:
        """How many tokens a model knows.

        Raises:
            UserError: it does not say.
        """
        found = count(model, config, VOCABULARY)
        if found is None:
            raise UserError(f"config: models.{model}.source: its config.json names no {VOCABULARY}")
        return found

    def width(self, config: Config, site: str) -> int:
        """Numbers that a site has for each token."""
        hidden, heads = config[self.names.hidden], config[self.names.heads]
        head = config.get(HEAD) or hidden // heads
        match site:
            case _ if site in OF_NEURONS:
                return config.get(self.names.inner) or 4 * hidden
            case "q":
                return head * heads
            case "k" | "v":
                return head * (self.key_value_heads(config) or heads)
        return hidden

    def windows(self, config: Config) -> dict[int, int]:
        """Layer → how many tokens its attention reaches back, itself included, of layers that have a window."""
        by = self.windows_by
        if by is None or config.get(by.size) is None:
            return {}
        kinds = [by.kind] * config[self.names.layers] if by.kinds is None else config[by.kinds]
        return {layer: config[by.size] for layer, kind in enumerate(kinds) if kind == by.kind}

    def norm_before_mlp(self, config: Config) -> str | None:
        """Path within the block of the norm that the MLP reads the stream through."""
        return self.mlp_norm(config) if callable(self.mlp_norm) else self.mlp_norm

    def epsilon(self, config: Config) -> float:
        """What the norms add to the variance."""
        return config[self.names.epsilon] if isinstance(self.names.epsilon, str) else self.names.epsilon

    def check_variant(self, model: str, config: Config) -> None:
        """Look in a config.json for what would make the sites mean something else.

        Raises:
            UserError: it is there.
        """
        for key, value in self.required.items():
            if (found := config.get(key)) not in (None, value):
                raise UserError(
                    f"models.{model}: its config.json has {key}: {json.dumps(found)[:80]}; supported are models of "
                    f"this architecture with {key}: {json.dumps(value)} (docs/models.md)"
                )


def count(model: str, config: Config, *keys: str) -> int | None:
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
