"""Tiny models with random weights, one of each supported architecture, and extraction from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from layerscope.extract.store_activations import extract_shard
from layerscope.io.files import write_json
from layerscope.model import loading
from layerscope.model.architectures import ARCHITECTURES
from layerscope.tokenize.token_shards import Tokens, write_token_shard
from layerscope.workflow.model_size import ModelSize, model_size

COMMON = {"vocab_size": 211, "bos_token_id": 0, "eos_token_id": 0}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 4,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
        "window_size": 256,
        "max_position_embeddings": 512,
    },
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128},
    "gpt_neox": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "max_position_embeddings": 128,
    },
    "llama": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 80,
        "max_position_embeddings": 128,
    },
}
GROUPED = CONFIGS["llama"]  # heads that share keys and values
WINDOW = 24  # of all but GPT-Neo
WIDE_HEADS = {**GROUPED, "head_dim": 12}
LAST_LAYERS = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}  # have the window
GEMMA = {**WIDE_HEADS, "num_hidden_layers": 4, "query_pre_attn_scalar": 10, "sliding_window": WINDOW}
CONFIGS |= {
    "mistral": {**GROUPED, "sliding_window": WINDOW},
    "qwen2": {**GROUPED, **LAST_LAYERS},
    "qwen3": {**WIDE_HEADS, **LAST_LAYERS},
    "gemma2": {**GEMMA, "attn_logit_softcapping": 1.5},  # so low that it matters
    "gemma3_text": {
        **GEMMA,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    },
    "olmo2": GROUPED,
    "phi3": {**GROUPED, "sliding_window": WINDOW, "pad_token_id": 0},
    "starcoder2": {**GROUPED, "sliding_window": WINDOW},
    "opt": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "ffn_dim": 96,
        "max_position_embeddings": 128,
    },
    "gptj": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128, "rotary_dim": 4},
    "falcon": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 128},
}
# Of an architecture, by what its config.json says: the model_type, and that.
VARIANTS = {
    "gpt_neox, sequential": ("gpt_neox", {"use_parallel_residual": False}),
    "opt, no biases and plain norms": ("opt", {"enable_bias": False, "layer_norm_elementwise_affine": False}),
    "opt, projected embeddings": ("opt", {"word_embed_proj_dim": 16}),
    "falcon, grouped keys and two norms": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, grouped keys and one norm": (
        "falcon",
        {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
    ),
    "falcon, sequential with ALiBi": (
        "falcon",
        {"alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
    ),
}
CASES = {**{model_type: (model_type, {}) for model_type in CONFIGS}, **VARIANTS}  # name → model_type, changes
LAYERS = {name: 4 if name in ("gpt_neo", "gemma2", "gemma3_text") else 3 for name in CASES}


def save_tiny_model(model_type: str, folder: Path, seed: int = 0, **changes: object) -> dict:
    """Save a model with random weights (not near zero, so that every path matters); its record."""
    config = AutoConfig.for_model(model_type, **{**COMMON, **CONFIGS[model_type], **changes})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(folder)
    return {
        "name": model_type.replace("_", "-"),
        "source": str(folder),
        "commit": None,
        "content": None,
        "path": str(folder),
        "model_type": model_type,
        "weights": "trained",
    }


def open_with_size(record: dict, folder: Path) -> tuple[ModelSize, loading.LoadedModel]:
    """How large a model is said to be, of its files, and the model itself."""
    write_json(folder / "record.json", record)
    return model_size(str(folder / "record.json")), loading.open_model(record, "float32", "cpu", 1, np.zeros((1, 8)))


def change_weights(record: dict, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the weights of a saved model."""
    path = Path(record["path"]) / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def alter_loading(monkeypatch: pytest.MonkeyPatch, alter: Callable[[torch.nn.Module], object]) -> None:
    """Change every model that is loaded."""
    load = loading.load_base_model

    def load_and_alter(*args: Any) -> torch.nn.Module:
        loaded = load(*args)
        alter(loaded)
        return loaded

    monkeypatch.setattr(loading, "load_base_model", load_and_alter)


def save_random_tokens(path: Path, sequences: int, length: int, seed: int = 0) -> Tokens:
    """Save a token shard; the first sequences are the same however many there are."""
    count = sequences * length
    numbers = np.arange(count, dtype=np.int32)
    ids = np.random.default_rng(seed).integers(0, COMMON["vocab_size"], count, dtype=np.int32)
    tokens = Tokens(ids, numbers // length, numbers % length, numbers // 50)
    sources = {
        f"{kind}{key}": "here" for kind in ("corpus", "tokenizer") for key in ("", "_source", "_commit", "_content")
    }
    write_token_shard(path, tokens, {**sources, "shard": 0, "sequences": sequences, "sequence_length": length})
    return tokens


def sites_of(record: dict) -> list[str]:
    """All sites of a model; none of an architecture that is not supported."""
    return list(ARCHITECTURES[record["model_type"]].sites) if "model_type" in record else []


def extract(tokens: Path, record: dict, output: Path, device: str = "cpu", shards: int = 0, **changes: Any) -> dict:
    """Extract with two sequences per batch, unless ``changes`` to the spec say otherwise; the manifest."""
    spec = {
        "sites": sites_of(record),
        "dtype": "float32",
        "batch_size": 2,
        "storage_dtype": "float32",
        "compression": "none",
        **changes,
    }
    return extract_shard(str(tokens), record, spec, device, 1, output, shards)
