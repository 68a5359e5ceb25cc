"""Which part of a fused projection a site is: each function takes a tensor [..., out] of a module of a block."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # read before any job, too, where a second to import torch would be felt
    import torch
    from torch import nn


def third(part: int, tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """Q, K or V of a projection laid out [Q of all heads | K of all heads | V of all heads]."""
    return tensor.chunk(3, dim=-1)[part]


def third_of_each_head(part: int, tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """Q, K or V of a projection laid out head by head, [Q | K | V] within each head."""
    heads = tensor.unflatten(-1, (-1, 3, block.get_submodule("attention").head_size))
    return heads[..., part, :].flatten(-2)


def part_of_few_keys(part: int, tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """Q, K or V of a projection laid out [Q of all heads | K of fewer heads | V of as many]: Phi-3's."""
    attention: Any = block.get_submodule("self_attn")
    keys = attention.num_key_value_heads * attention.head_dim
    return tensor.split([tensor.shape[-1] - 2 * keys, keys, keys], dim=-1)[part]


def part_of_each_group(part: int, tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """Q, K or V of a projection laid out group by group, [Q of each of its heads | K | V] within each: Falcon's.

    The heads of a group share their K and V. There are as many groups as heads, as K has heads, or one.
    """
    attention: Any = block.get_submodule("self_attention")
    queries = attention.num_heads // attention.num_kv_heads
    groups = tensor.unflatten(-1, (-1, queries + 2, attention.head_dim))
    return groups.split([queries, 1, 1], dim=-2)[part].flatten(-3)


def first_half(tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """The gate of a projection laid out [gate | up]."""
    return tensor.chunk(2, dim=-1)[0]


def second_half(tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """What the gate of such a projection is multiplied with."""
    return tensor.chunk(2, dim=-1)[1]


def copied(tensor: "torch.Tensor", block: "nn.Module") -> "torch.Tensor":
    """All of what a module puts out, before its block changes it in place."""
    return tensor.clone()
