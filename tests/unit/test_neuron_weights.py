"""Weights of neurons against the modules of transformers' models, and their logits against plain products."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from plain_forward import blocks_of
from tiny_models import CASES, COMMON, LAYERS, change_weights, save_tiny_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from layerscope.io.errors import UserError
from layerscope.model import neuron_weights
from layerscope.model.architectures import ARCHITECTURES
from layerscope.model.loading import load_base_model
from layerscope.model.neuron_weights import NeuronWeights, extreme_logits
from layerscope.studies.token_length.describe_weights import describe_weights

CPU = torch.device("cpu")
TYPES = COMMON["vocab_size"]


def open_weights(record: dict, dtype: str = "float32") -> NeuronWeights:
    return NeuronWeights(record, dtype)


def language_model(record: dict) -> nn.Module:
    return AutoModelForCausalLM.from_pretrained(record["path"]).eval()


def gated(block: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return block.mlp.gate_proj.weight, block.mlp.down_proj.weight.T


def normed(block: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """With what the norm after the MLP makes of ones, whose size is 1: its gain."""
    return block.mlp.gate_proj.weight, block.mlp.down_proj.weight.T * block.post_feedforward_layernorm(torch.ones(32))


# By model type, of a block: weights into and out of its neurons, both [neurons, hidden].
NEURONS: dict[str, Callable[[Any], tuple[torch.Tensor, torch.Tensor]]] = {
    "gpt_neo": lambda block: (block.mlp.c_fc.weight, block.mlp.c_proj.weight.T),
    "gpt2": lambda block: (block.mlp.c_fc.weight.T, block.mlp.c_proj.weight),
    "gpt_neox": lambda block: (block.mlp.dense_h_to_4h.weight, block.mlp.dense_4h_to_h.weight.T),
    "gptj": lambda block: (block.mlp.fc_in.weight, block.mlp.fc_out.weight.T),
    "opt": lambda block: (block.fc1.weight, block.fc2.weight.T),
    "falcon": lambda block: (block.mlp.dense_h_to_4h.weight, block.mlp.dense_4h_to_h.weight.T),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), gated),
    **dict.fromkeys(("gemma2", "gemma3_text", "olmo2"), normed),
    "phi3": lambda block: (block.mlp.gate_up_proj.weight[:80], block.mlp.down_proj.weight.T),
    "starcoder2": lambda block: (block.mlp.c_fc.weight, block.mlp.c_proj.weight.T),
}


def save_case(name: str, folder: Path, **changes: object) -> dict:
    model_type, of_case = CASES[name]
    return save_tiny_model(model_type, folder, **of_case, **changes)


def logits_of(model: Any, stream: torch.Tensor) -> torch.Tensor:
    """All that transformers does with what the last block puts out, [hidden] to [token types]."""

    def replace(block: nn.Module, args: object, output: Any) -> Any:
        given = stream[None, None]
        return (given, *output[1:]) if isinstance(output, tuple) else given

    handle = blocks_of(model)[-1].register_forward_hook(replace)
    try:
        logits: torch.Tensor = model(torch.tensor([[1]]), use_cache=False).logits[0, 0]
    finally:
        handle.remove()
    return logits


def check_logits(record: dict) -> None:
    """The derivative of the logits by the stream, times the size of the stream, which its norm divides by.

    Along the stream its size changes, so that part is taken off. The stream has mean zero: its size is the same for
    norms that take the mean off and those that do not.
    """
    model = language_model(record)
    model.config.final_logit_softcapping = None  # Gemma 2 has a cap, which what is added does not pass
    stream = torch.randn(32)
    stream -= stream.mean()
    derivative = torch.autograd.functional.jacobian(lambda x: logits_of(model, x), stream).T
    unembedding = open_weights(record).unembedding(TYPES)
    assert unembedding is not None and unembedding.shape == (32, TYPES)
    expected = derivative * (stream**2).mean().sqrt()
    along = torch.outer(stream, stream @ unembedding) / (stream @ stream)
    np.testing.assert_allclose((unembedding - along).numpy(), expected.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_weights_of_neurons_are_those_of_the_loaded_model(name: str, tmp_path: Path) -> None:
    record = save_case(name, tmp_path)
    blocks, weights = blocks_of(language_model(record)), open_weights(record)
    assert weights.layers == LAYERS[name] == len(blocks)
    for layer, block in enumerate(blocks):
        into, out = (of.detach().numpy() for of in NEURONS[record["model_type"]](block))
        table, _ = describe_weights(weights, layer, None)
        assert list(table["neuron"]) == list(range(len(into)))
        np.testing.assert_allclose(table["norm_in"], np.sqrt((into**2).sum(1)), rtol=1e-5)
        np.testing.assert_allclose(table["norm_out"], np.sqrt((out**2).sum(1)), rtol=1e-5)
        cosine = (into * out).sum(1) / np.sqrt((into**2).sum(1) * (out**2).sum(1))
        np.testing.assert_allclose(table["cosine_in_out"], cosine, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_logits_are_what_a_neuron_adds_through_the_last_norm(name: str, tied: bool, tmp_path: Path) -> None:
    check_logits(save_case(name, tmp_path, tie_word_embeddings=tied))


@pytest.mark.parametrize("model_type", ["gemma2", "gpt_neox"])
def test_head_of_its_own_is_taken_whatever_config_json_says(model_type: str, tmp_path: Path) -> None:
    """As transformers does."""
    record = save_tiny_model(model_type, tmp_path, tie_word_embeddings=False)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    check_logits(record)


def test_tables_of_logits_are_the_extremes_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_weights, "NEURONS_AT_ONCE", 7)
    weights = open_weights(save_tiny_model("gpt2", tmp_path))
    unembedding = weights.unembedding(200)  # the ids from there on belong to no token
    assert unembedding is not None
    _, table = describe_weights(weights, 2, unembedding)
    everything = (weights.layer(2).out @ unembedding).numpy()
    assert everything.shape == (128, 200) and len(table) == 128 * 20
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        **{"neuron": "int32", "kind": "str", "rank": "int8", "token_id": "int32", "logit": "float32"}
    }
    for neuron, rows in table.groupby("neuron"):
        logits = everything[neuron]
        promoted, suppressed = (rows[rows["kind"] == kind] for kind in ("promoted", "suppressed"))
        assert list(promoted["rank"]) == list(suppressed["rank"]) == list(range(10))
        np.testing.assert_allclose(promoted["logit"], np.sort(logits)[::-1][:10], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(suppressed["logit"], np.sort(logits)[:10], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(rows["logit"], logits[rows["token_id"]], rtol=1e-4, atol=1e-5)


def test_a_vocabulary_of_few_types_and_a_model_without_a_head(tmp_path: Path) -> None:
    logits = extreme_logits(torch.randn(5, 8), torch.randn(8, 3), 10)
    assert {kind: tuple(values.shape) for kind, (values, _) in logits.items()} == dict.fromkeys(logits, (5, 3))
    record = save_tiny_model("llama", tmp_path)
    change_weights(record, lambda weights: weights.pop("lm_head.weight"))
    weights = open_weights(record)
    assert weights.unembedding(TYPES) is None
    _, table = describe_weights(weights, 0, None)
    assert len(table) == 0 and str(table["kind"].dtype) == "str" and str(table["token_id"].dtype) == "int32"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_those_that_the_model_runs_with(dtype: str, tmp_path: Path) -> None:
    """Random ones too, which depend on the precision."""
    for weights in ("trained", "random"):
        record = {**save_tiny_model("gpt_neo", tmp_path), "weights": weights}
        base = load_base_model(record, dtype, CPU)
        into, out = (of.detach().numpy() for of in NEURONS["gpt_neo"](base.h[1].float()))
        found = open_weights(record, dtype).layer(1)
        assert np.array_equal(found.into.numpy(), into) and np.array_equal(found.out.numpy(), out)
        unembedding = open_weights(record, dtype).unembedding(TYPES)
        scaled = base.wte.weight.float().detach() * base.ln_f.weight.float().detach()
        expected = (scaled - scaled.mean(dim=1, keepdim=True)).T
        assert torch.allclose(unembedding, expected)


def test_names_do_not_depend_on_how_a_model_was_saved(tmp_path: Path) -> None:
    """As that of GPT-2 on the hub: those of the base model."""
    record = save_tiny_model("gpt2", tmp_path)
    before = open_weights(record)

    def rename(weights: dict) -> None:
        for name in list(weights):
            weights[name.removeprefix("transformer.")] = weights.pop(name)

    into, unembedding = before.layer(1).into.clone(), before.unembedding(TYPES)
    change_weights(record, rename)
    after = open_weights(record)
    assert torch.equal(after.layer(1).into, into) and torch.equal(after.unembedding(TYPES), unembedding)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_ties_are_those_of_transformers(model_type: str) -> None:
    of = ARCHITECTURES[model_type].unembedding
    assert of.is_embedding({}) == AutoConfig.for_model(model_type).tie_word_embeddings
    assert of.is_embedding({"tie_word_embeddings": not of.tied}) is not of.tied


def test_a_neuron_without_weights(tmp_path: Path) -> None:
    record = save_tiny_model("gpt_neo", tmp_path)
    change_weights(record, lambda weights: weights["transformer.h.0.mlp.c_fc.weight"].__setitem__(5, 0.0))
    table, _ = describe_weights(open_weights(record), 0, None)
    assert table["norm_in"][5] == 0 and np.isnan(table["cosine_in_out"][5])
    assert not table.drop(5).isna().any(axis=None)


def test_missing_and_damaged_weights_are_said(tmp_path: Path) -> None:
    record = save_tiny_model("gpt_neo", tmp_path)
    change_weights(record, lambda weights: weights.pop("transformer.h.1.mlp.c_fc.weight"))
    with pytest.raises(UserError, match=r"^models.gpt-neo: .* lacks the weight transformer.h.1.mlp.c_fc.weight; fetch"):
        open_weights(record).layer(1)
    change_weights(record, lambda weights: weights.pop("transformer.wte.weight"))
    with pytest.raises(UserError, match=r"^models.gpt-neo: .* lacks the weight wte.weight; fetch the model again$"):
        open_weights(record)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(UserError, match=r"^models.gpt-neo: .* cannot be read \(.*\); fetch the model again$"):
        open_weights(record)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": {}}))
    with pytest.raises(UserError, match="quantised weights are not supported"):
        open_weights(record)


def test_tables_are_the_same_again(tmp_path: Path) -> None:
    record = save_tiny_model("gpt_neo", tmp_path)
    tables = []
    for _ in range(2):
        weights = open_weights(record)
        tables.append(describe_weights(weights, 0, weights.unembedding(TYPES)))
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other)
