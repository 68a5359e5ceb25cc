"""A plain forward pass of transformers, with plain hooks, and where each site of each architecture is in it.

Written down independently of the package: what a site is follows from outputs of norms and from weights.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import gelu, linear, relu, silu
from transformers import AutoConfig, AutoModelForCausalLM

Seen = dict[str, torch.Tensor]  # outputs of a block's modules by their path; "input" is what entered the block


def by(module: Any, x: torch.Tensor) -> torch.Tensor:
    return linear(x, module.weight, module.bias)


def separate(attention: nn.Module, x: torch.Tensor) -> Seen:
    return {part: by(getattr(attention, f"{part}_proj"), x) for part in "qkv"}


def plain_mlp(fc: nn.Module, x: torch.Tensor, act: Any) -> Seen:
    return {"mlp_pre": by(fc, x), "mlp_post": act(by(fc, x))}


def gated_mlp(mlp: nn.Module, x: torch.Tensor, act: Any = silu) -> Seen:
    gate, up = x @ mlp.gate_proj.weight.T, x @ mlp.up_proj.weight.T
    return {"mlp_pre": gate, "mlp_gate": gate, "mlp_up": up, "mlp_post": act(gate) * up}


tanh_gelu = partial(gelu, approximate="tanh")


def gpt_neo(block: Any, seen: Seen) -> Seen:
    attention, x = block.attn.attention, seen["ln_1"]
    qkv = {part: x @ getattr(attention, f"{part}_proj").weight.T for part in "qkv"}
    mlp = plain_mlp(block.mlp.c_fc, seen["ln_2"], tanh_gelu)
    return {**qkv, **mlp, "attn_out": seen["attn"], "mlp_out": seen["mlp"]}


def gpt2(block: Any, seen: Seen) -> Seen:
    weight, bias, fc = block.attn.c_attn.weight, block.attn.c_attn.bias, block.mlp.c_fc  # weights are [in, out]
    d = len(weight)
    qkv = {part: (seen["ln_1"] @ weight + bias)[..., i * d : (i + 1) * d] for i, part in enumerate("qkv")}
    pre = seen["ln_2"] @ fc.weight + fc.bias
    return {**qkv, "mlp_pre": pre, "mlp_post": tanh_gelu(pre), "attn_out": seen["attn"], "mlp_out": seen["mlp"]}


def gptj(block: Any, seen: Seen) -> Seen:
    qkv = separate(block.attn, seen["ln_1"])
    mlp = plain_mlp(block.mlp.fc_in, seen["ln_1"], tanh_gelu)
    return {**qkv, **mlp, "attn_out": seen["attn"], "mlp_out": seen["mlp"]}


def gpt_neox(block: Any, seen: Seen) -> Seen:
    weight, bias = block.attention.query_key_value.weight, block.attention.query_key_value.bias
    size, heads = 8, 4  # rows are [Q | K | V] of head 0, then of head 1 and so on
    rows = [[(head * 3 + i) * size + j for head in range(heads) for j in range(size)] for i in range(3)]
    qkv = {part: linear(seen["input_layernorm"], weight[rows[i]], bias[rows[i]]) for i, part in enumerate("qkv")}
    mlp = plain_mlp(block.mlp.dense_h_to_4h, seen["post_attention_layernorm"], gelu)
    return {**qkv, **mlp, "attn_out": seen["attention"], "mlp_out": seen["mlp"]}


def opt(block: Any, seen: Seen) -> Seen:
    qkv = separate(block.self_attn, seen["self_attn_layer_norm"])
    shape = seen["input"].shape
    mlp = plain_mlp(block.fc1, seen["final_layer_norm"].view(shape), relu)
    return {**qkv, **mlp, "attn_out": seen["self_attn"], "mlp_out": seen["fc2"].view(shape)}


def falcon(block: Any, seen: Seen) -> Seen:
    config, size = block.config, 8
    weight, bias = block.self_attention.query_key_value.weight, block.self_attention.query_key_value.bias
    two_norms = config.new_decoder_architecture and config.num_ln_in_parallel_attn == 2
    x = seen["ln_attn" if two_norms else "input_layernorm"]
    if config.new_decoder_architecture:  # rows of heads 0, 1, their K, their V; then of heads 2, 3 and so on
        order = {"q": [0, 1, 4, 5], "k": [2, 6], "v": [3, 7]}
    elif config.multi_query:  # rows of all heads, then K, then V
        order = {"q": [0, 1, 2, 3], "k": [4], "v": [5]}
    else:  # rows of [Q | K | V] of head 0, then of head 1 and so on
        order = {"q": [0, 3, 6, 9], "k": [1, 4, 7, 10], "v": [2, 5, 8, 11]}
    rows = {part: [head * size + j for head in heads for j in range(size)] for part, heads in order.items()}
    qkv = {part: linear(x, weight[of], None if bias is None else bias[of]) for part, of in rows.items()}
    if two_norms:
        x = seen["ln_mlp"]
    elif not config.new_decoder_architecture and not config.parallel_attn:
        x = seen["post_attention_layernorm"]
    mlp = plain_mlp(block.mlp.dense_h_to_4h, x, gelu)
    return {**qkv, **mlp, "attn_out": seen["self_attention"], "mlp_out": seen["mlp"]}


def llama(block: Any, seen: Seen) -> Seen:
    qkv = separate(block.self_attn, seen["input_layernorm"])
    mlp = gated_mlp(block.mlp, seen["post_attention_layernorm"])
    return {**qkv, **mlp, "attn_out": seen["self_attn"], "mlp_out": seen["mlp"]}


def gemma(block: Any, seen: Seen) -> Seen:
    qkv = separate(block.self_attn, seen["input_layernorm"])
    mlp = gated_mlp(block.mlp, seen["pre_feedforward_layernorm"], tanh_gelu)
    return {**qkv, **mlp, "attn_out": seen["post_attention_layernorm"], "mlp_out": seen["post_feedforward_layernorm"]}


def olmo2(block: Any, seen: Seen) -> Seen:
    added = {"attn_out": seen["post_attention_layernorm"], "mlp_out": seen["post_feedforward_layernorm"]}
    x = seen["input"]
    return {**separate(block.self_attn, x), **gated_mlp(block.mlp, x + added["attn_out"]), **added}


def phi3(block: Any, seen: Seen) -> Seen:
    size, heads, keys, inner = 8, 4, 2, 80
    q = seen["input_layernorm"] @ block.self_attn.qkv_proj.weight[: heads * size].T
    k = seen["input_layernorm"] @ block.self_attn.qkv_proj.weight[heads * size : (heads + keys) * size].T
    v = seen["input_layernorm"] @ block.self_attn.qkv_proj.weight[(heads + keys) * size :].T
    gate = seen["post_attention_layernorm"] @ block.mlp.gate_up_proj.weight[:inner].T
    up = seen["post_attention_layernorm"] @ block.mlp.gate_up_proj.weight[inner:].T
    mlp = {"mlp_pre": gate, "mlp_gate": gate, "mlp_up": up, "mlp_post": silu(gate) * up}
    return {"q": q, "k": k, "v": v, **mlp, "attn_out": seen["self_attn"], "mlp_out": seen["mlp"]}


def starcoder2(block: Any, seen: Seen) -> Seen:
    qkv = separate(block.self_attn, seen["input_layernorm"])
    mlp = plain_mlp(block.mlp.c_fc, seen["post_attention_layernorm"], tanh_gelu)
    return {**qkv, **mlp, "attn_out": seen["self_attn"], "mlp_out": seen["mlp"]}


EXPECTED = {
    "gpt_neo": gpt_neo,
    "gpt2": gpt2,
    "gptj": gptj,
    "gpt_neox": gpt_neox,
    "opt": opt,
    "falcon": falcon,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), llama),
    **dict.fromkeys(("gemma2", "gemma3_text"), gemma),
    "olmo2": olmo2,
    "phi3": phi3,
    "starcoder2": starcoder2,
}


def blocks_of(model: nn.Module) -> nn.ModuleList:
    return next(module for module in model.modules() if isinstance(module, nn.ModuleList))


def plain_pass(record: dict, ids: np.ndarray, **changes: object) -> tuple[list[Seen], list[torch.Tensor], Any]:
    """Sites of each layer, transformers' own hidden states, and the model, built without ``from_pretrained``."""
    config = AutoConfig.from_pretrained(record["path"], **changes)
    # transformers' eager attention of Falcon adds ALiBi twice.
    attention = "sdpa" if getattr(config, "alibi", False) else "eager"
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    model.load_state_dict(load_file(Path(record["path"]) / "model.safetensors"), strict=False)  # tied heads
    blocks = blocks_of(model)
    seen: list[Seen] = [{} for _ in blocks]

    def keep(outputs: Seen, path: str, module: nn.Module, args: object, output: Any) -> None:
        # A copy: Falcon's blocks add to what their MLP gave in place.
        outputs[path] = (output[0] if isinstance(output, tuple) else output).clone()

    for block, outputs in zip(blocks, seen, strict=True):
        block.register_forward_pre_hook(lambda module, args, outputs=outputs: outputs.update(input=args[0]))
        for path, module in block.named_modules():
            module.register_forward_hook(partial(keep, outputs, path))
    with torch.no_grad():
        hidden = model(torch.from_numpy(ids).long(), output_hidden_states=True, use_cache=False).hidden_states
        sites = [
            EXPECTED[record["model_type"]](block, outputs) | {"resid_pre": outputs["input"], "resid_post": outputs[""]}
            for block, outputs in zip(blocks, seen, strict=True)
        ]
    return sites, hidden, model


def difference(found: np.ndarray, expected: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    assert found.shape == tuple(expected.shape)
    return float(np.abs(found - expected.numpy()).max() / expected.abs().max())
