"""Tiny models with random weights, one of each supported architecture."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoConfig

COMMON = {"vocab_size": 211, "bos_token_id": 0, "eos_token_id": 0}
CONFIGS = {
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
CONFIGS["mistral"] = CONFIGS["qwen2"] = CONFIGS["llama"]
LAYERS = {"gpt_neo": 4, "gpt2": 3, "gpt_neox": 3, "llama": 3, "mistral": 3, "qwen2": 3}


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
        "path": str(folder),
        "model_type": model_type,
    }
