"""The supported architectures, by the ``model_type`` of a config.json: all that is known of each."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from layerscope.io.errors import UserError
from layerscope.model.architecture import Architecture, Config, Names, Split, Tap, Unembedding, Windows
from layerscope.model.fused import (
    copied,
    first_half,
    part_of_each_group,
    part_of_few_keys,
    second_half,
    third,
    third_of_each_head,
)

if TYPE_CHECKING:  # read before any job, too, where a second to import torch would be felt
    import torch


def _architecture(
    blocks: str,
    qkv: dict[str, Tap],
    attn_projection: str,
    mlp_norm: str | Callable[[Config], str] | None,
    mlp_in: str,
    mlp_projection: str,
    unembedding: Unembedding,
    *,
    gate: Split | None = None,
    up: Tap | None = None,
    flattened_mlp: bool = False,
    attn_out: Tap | None = None,
    mlp_out: Tap | None = None,
    **others: Any,
) -> Architecture:
    """An architecture of which attention and MLP each end in a projection, whose output is added to the stream.

    Args:
        gate: takes ``mlp_pre`` out of what ``mlp_in`` puts out.
        up: of a gated MLP, what is multiplied with the activated gate.
        attn_out, mlp_out: what is added instead, where something comes between.
    """
    first = Tap(mlp_in, "output", gate, flattened_mlp)
    return Architecture(
        blocks,
        {
            "mlp_pre": first,
            "mlp_post": Tap(mlp_projection, "input", flattened=flattened_mlp),
            **({"mlp_gate": first, "mlp_up": up} if up else {}),
            **qkv,
            "attn_out": attn_out or Tap(attn_projection, "output"),
            "mlp_out": mlp_out or Tap(mlp_projection, "output", flattened=flattened_mlp),
            "resid_pre": Tap("", "input"),
            "resid_post": Tap("", "output"),
        },
        attn_projection,
        mlp_norm,
        first,
        unembedding,
        **others,
    )


def _fused(module: str, split: Callable[..., "torch.Tensor"]) -> dict[str, Tap]:
    return {site: Tap(module, "output", partial(split, i)) for i, site in enumerate("qkv")}


def _separate(attention: str) -> dict[str, Tap]:
    return {site: Tap(f"{attention}.{site}_proj", "output") for site in "qkv"}


# Architectures with a gated MLP, all named as Llama's.
_gated = partial(
    _architecture,
    "layers",
    _separate("self_attn"),
    "self_attn.o_proj",
    mlp_in="mlp.gate_proj",
    up=Tap("mlp.up_proj", "output"),
    mlp_projection="mlp.down_proj",
    unembedding=Unembedding("norm", "embed_tokens"),
    norm="RMSNorm",
)
# Norms between the projections and the stream.
_normed = partial(
    _gated,
    attn_out=Tap("post_attention_layernorm", "output"),
    mlp_out=Tap("post_feedforward_layernorm", "output"),
)
_gemma = partial(
    _normed,
    mlp_norm="pre_feedforward_layernorm",
    unembedding=Unembedding("norm", "embed_tokens", tied=True),
    gain_offset=1,
    windows_by=Windows(),
    required={"use_bidirectional_attention": False},
)
_llama = partial(_gated, mlp_norm="post_attention_layernorm")
_SHORT_NAMES = Names("n_layer", "n_embd", "n_head", "n_inner", "n_positions", "layer_norm_epsilon")


def _falcon_norm_before_mlp(config: Config) -> str:
    if config.get("new_decoder_architecture"):
        return "input_layernorm" if config.get("num_ln_in_parallel_attn") == 1 else "ln_mlp"
    return "input_layernorm" if config.get("parallel_attn", True) else "post_attention_layernorm"


def _falcon_key_value_heads(config: Config) -> int | None:
    if config.get("new_decoder_architecture"):
        return config.get("num_kv_heads")
    return 1 if config.get("multi_query", True) else None


ARCHITECTURES = {
    "gpt_neo": _architecture(
        "h",
        _separate("attn.attention"),
        "attn.attention.out_proj",
        "ln_2",
        "mlp.c_fc",
        "mlp.c_proj",
        Unembedding("ln_f", "wte", tied=True),
        attention="eager",  # transformers has no other for it
        names=Names(layers="num_layers", heads="num_heads", epsilon="layer_norm_epsilon"),
        windows_by=Windows("window_size", "attention_layers", "local"),
    ),
    "gpt2": _architecture(
        "h",
        _fused("attn.c_attn", third),
        "attn.c_proj",
        "ln_2",
        "mlp.c_fc",
        "mlp.c_proj",
        Unembedding("ln_f", "wte", tied=True),
        inputs_first=True,
        names=_SHORT_NAMES,
    ),
    "gpt_neox": _architecture(
        "layers",
        _fused("attention.query_key_value", third_of_each_head),
        "attention.dense",
        "post_attention_layernorm",
        "mlp.dense_h_to_4h",
        "mlp.dense_4h_to_h",
        Unembedding("final_layer_norm", "embed_in", "embed_out"),
        names=Names(epsilon="layer_norm_eps"),
        parallel=lambda config: config["use_parallel_residual"],
    ),
    "gptj": _architecture(
        "h",
        _separate("attn"),
        "attn.out_proj",
        "ln_1",
        "mlp.fc_in",
        "mlp.fc_out",
        Unembedding("ln_f", "wte"),
        attention="eager",  # transformers has no other for it but flash attention
        names=_SHORT_NAMES,
        parallel=lambda config: True,
    ),
    "opt": _architecture(
        "decoder.layers",
        _separate("self_attn"),
        "self_attn.out_proj",
        "final_layer_norm",
        "fc1",
        "fc2",
        Unembedding("decoder.final_layer_norm", "decoder.embed_tokens", tied=True, projection="decoder.project_out"),
        flattened_mlp=True,
        names=Names(inner="ffn_dim", epsilon=1e-5),
        # Otherwise the stream itself is normed, and is no sum; or is not normed before the unembedding.
        required={"do_layer_norm_before": True, "_remove_final_layer_norm": False},
    ),
    "falcon": _architecture(
        "h",
        _fused("self_attention.query_key_value", part_of_each_group),
        "self_attention.dense",
        _falcon_norm_before_mlp,
        "mlp.dense_h_to_4h",
        "mlp.dense_4h_to_h",
        Unembedding("ln_f", "word_embeddings", tied=True),
        mlp_out=Tap("mlp.dense_4h_to_h", "output", copied),  # where attention is parallel it is added to in place
        names=Names(inner="ffn_hidden_size", epsilon="layer_norm_epsilon"),
        key_value_heads=_falcon_key_value_heads,
        parallel=lambda config: config["new_decoder_architecture"] or config["parallel_attn"],
    ),
    "llama": _llama(),
    "mistral": _llama(windows_by=Windows(kinds=None)),
    "qwen2": _llama(windows_by=Windows()),
    "qwen3": _llama(windows_by=Windows()),
    "gemma2": _gemma(attention="eager"),  # its soft cap on scores is in no other but flash attention
    "gemma3_text": _gemma(),
    "olmo2": _normed(mlp_norm=None),
    "phi3": _architecture(
        "layers",
        _fused("self_attn.qkv_proj", part_of_few_keys),
        "self_attn.o_proj",
        "post_attention_layernorm",
        "mlp.gate_up_proj",
        "mlp.down_proj",
        Unembedding("norm", "embed_tokens"),
        gate=first_half,
        up=Tap("mlp.gate_up_proj", "output", second_half),
        norm="RMSNorm",
        windows_by=Windows(kinds=None),
    ),
    "starcoder2": _architecture(
        "layers",
        _separate("self_attn"),
        "self_attn.o_proj",
        "post_attention_layernorm",
        "mlp.c_fc",
        "mlp.c_proj",
        Unembedding("norm", "embed_tokens", tied=True),
        names=Names(epsilon="norm_epsilon"),
        windows_by=Windows(kinds=None),
    ),
}
# Why not, of model_types that are close to those that are supported.
NEAR = {"gemma3": "it takes images, too; text models of Gemma 3 have model_type gemma3_text"}


def architecture_of(model_type: object, model: str) -> Architecture:
    """The architecture of a model by the ``model_type`` of its config.json.

    Raises:
        UserError: it is not supported; the line lists what is.
    """
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        unsupported = f"architecture '{model_type}' is not supported"
        if isinstance(model_type, str) and model_type in NEAR:
            unsupported += f" ({NEAR[model_type]})"
        what = "its config.json names no model_type" if model_type is None else unsupported
        raise UserError(
            f"models.{model}: {what}; supported are {', '.join(ARCHITECTURES)}; docs/adding-a-model.md tells how "
            "to add one"
        )
    return ARCHITECTURES[model_type]
