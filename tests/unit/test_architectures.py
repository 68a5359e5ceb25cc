"""Each site of each architecture against a plain transformers forward pass, and what the hooks must refuse."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import LAYERS, extract, save_random_tokens, save_tiny_model
from torch import nn
from torch.nn.functional import gelu, linear, silu
from transformers import AutoConfig, AutoModelForCausalLM

from layerscope.io.errors import UserError
from layerscope.model.architectures import ARCHITECTURES, SITES, Architecture, Tap
from layerscope.model.hooks import SiteError, tapped
from layerscope.model.residual_identity import ResidualIdentity

Seen = dict[str, torch.Tensor]  # outputs of a block's modules by their path; "input" is what entered the block


def gpt_neo(block: nn.Module, seen: Seen) -> Seen:
    attention, fc = block.attn.attention, block.mlp.c_fc
    qkv = {part: seen["ln_1"] @ getattr(attention, f"{part}_proj").weight.T for part in "qkv"}
    pre = linear(seen["ln_2"], fc.weight, fc.bias)
    return {**qkv, "mlp_pre": pre, "mlp_post": gelu(pre, approximate="tanh"), "attn_out": seen["attn"]}


def gpt2(block: nn.Module, seen: Seen) -> Seen:
    weight, bias, fc = block.attn.c_attn.weight, block.attn.c_attn.bias, block.mlp.c_fc  # weights are [in, out]
    d = len(weight)
    qkv = {part: (seen["ln_1"] @ weight + bias)[..., i * d : (i + 1) * d] for i, part in enumerate("qkv")}
    pre = seen["ln_2"] @ fc.weight + fc.bias
    return {**qkv, "mlp_pre": pre, "mlp_post": gelu(pre, approximate="tanh"), "attn_out": seen["attn"]}


def gpt_neox(block: nn.Module, seen: Seen) -> Seen:
    weight, bias = block.attention.query_key_value.weight, block.attention.query_key_value.bias
    size, heads = 8, 4  # rows are [Q | K | V] of head 0, then of head 1 and so on
    rows = [[(head * 3 + i) * size + j for head in range(heads) for j in range(size)] for i in range(3)]
    qkv = {part: linear(seen["input_layernorm"], weight[rows[i]], bias[rows[i]]) for i, part in enumerate("qkv")}
    pre = linear(seen["post_attention_layernorm"], block.mlp.dense_h_to_4h.weight, block.mlp.dense_h_to_4h.bias)
    return {**qkv, "mlp_pre": pre, "mlp_post": gelu(pre), "attn_out": seen["attention"]}


def llama(block: nn.Module, seen: Seen) -> Seen:
    parts = {part: getattr(block.self_attn, f"{part}_proj") for part in "qkv"}
    qkv = {part: linear(seen["input_layernorm"], module.weight, module.bias) for part, module in parts.items()}
    gate = seen["post_attention_layernorm"] @ block.mlp.gate_proj.weight.T
    up = seen["post_attention_layernorm"] @ block.mlp.up_proj.weight.T
    return {**qkv, "mlp_pre": gate, "mlp_post": silu(gate) * up, "attn_out": seen["self_attn"]}


EXPECTED = {"gpt_neo": gpt_neo, "gpt2": gpt2, "gpt_neox": gpt_neox, "llama": llama, "mistral": llama, "qwen2": llama}


def plain_pass(record: dict, ids: np.ndarray, **changes: object) -> tuple[list[Seen], list[torch.Tensor], nn.Module]:
    """Sites of each layer, transformers' own hidden states, and the model, built without ``from_pretrained``."""
    config = AutoConfig.from_pretrained(record["path"], **changes)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    model.load_state_dict(load_file(Path(record["path"]) / "model.safetensors"), strict=False)  # tied heads
    blocks = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    seen: list[Seen] = [{} for _ in blocks]

    def keep(outputs: Seen, path: str, module: nn.Module, args: object, output: object) -> None:
        outputs[path] = output[0] if isinstance(output, tuple) else output

    for block, outputs in zip(blocks, seen, strict=True):
        block.register_forward_pre_hook(lambda module, args, outputs=outputs: outputs.update(input=args[0]))
        for path, module in block.named_modules():
            module.register_forward_hook(partial(keep, outputs, path))
    with torch.no_grad():
        hidden = model(torch.from_numpy(ids).long(), output_hidden_states=True, use_cache=False).hidden_states
        sites = [
            EXPECTED[record["model_type"]](block, outputs)
            | {"mlp_out": outputs["mlp"], "resid_pre": outputs["input"], "resid_post": outputs[""]}
            for block, outputs in zip(blocks, seen, strict=True)
        ]
    return sites, hidden, model


@dataclass
class Case:
    record: dict
    ids: np.ndarray
    stored: list[dict[str, np.ndarray]]  # site → [sequences, length, width], by layer


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    record = save_tiny_model(request.param, folder / "model")
    shape = (2, 512) if request.param == "gpt_neo" else (3, 128)
    tokens = save_random_tokens(folder / "tokens.h5", *shape)
    extract(folder / "tokens.h5", record, folder / "shard.h5")
    layers = range(LAYERS[request.param])
    with h5py.File(folder / "shard.h5") as file:
        stored = [{site: file[f"{site}/layer_{i:02d}"][:].reshape(*shape, -1) for site in SITES} for i in layers]
    return Case(record, tokens.input_ids.reshape(shape), stored)


def difference(found: np.ndarray, expected: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    assert found.shape == tuple(expected.shape)
    return float(np.abs(found - expected.numpy()).max() / expected.abs().max())


def test_stored_sites_equal_a_plain_forward_pass(case: Case) -> None:
    expected, _, _ = plain_pass(case.record, case.ids)
    assert len(expected) == len(case.stored)
    for layer, sites in enumerate(expected):
        for site in SITES:
            assert difference(case.stored[layer][site], sites[site]) < 1e-5, (site, layer)


def test_residual_stream_equals_the_hidden_states_of_transformers(case: Case) -> None:
    _, hidden, model = plain_pass(case.record, case.ids)
    for layer, stored in enumerate(case.stored):
        assert difference(stored["resid_pre"], hidden[layer]) < 1e-5
        if layer + 1 < len(case.stored):
            assert difference(stored["resid_post"], hidden[layer + 1]) < 1e-5
    # The last hidden state is after the final norm; the last block's output is not.
    last = case.stored[-1]["resid_post"]
    norm = next(module for name, module in model.base_model.named_children() if "norm" in name or name == "ln_f")
    assert difference(last, hidden[-1]) > 0.1
    with torch.no_grad():
        assert difference(norm(torch.from_numpy(last)).numpy(), hidden[-1]) < 1e-5


def test_residual_stream_is_the_sum_of_what_is_added_to_it(case: Case) -> None:
    for stored in case.stored:
        terms = [stored[site].astype(np.float64) for site in ("resid_pre", "attn_out", "mlp_out")]
        rounding = 2 * np.finfo(np.float32).eps * sum(np.abs(term) for term in terms)  # of two float32 additions
        assert (np.abs(stored["resid_post"] - sum(terms)) <= rounding).all()


def give_residual(change: float, dtype: torch.dtype) -> None:
    """Streams of which the MLP cancels massive activations, resid_post off by ``change``."""
    pre, attn, rest = (torch.randn(1, 8, 64) for _ in range(3))
    pre, attn, mlp = (x.to(dtype) for x in (3000 * pre, attn, rest - 3000 * pre))
    streams = {"resid_pre": pre, "attn_out": attn, "mlp_out": mlp, "resid_post": pre + attn + mlp + change}
    identity = ResidualIdentity([], lambda *_: None)
    for site, stream in streams.items():
        identity(site, 0, stream)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_residual_identity_allows_rounding_of_what_was_cancelled(dtype: torch.dtype) -> None:
    give_residual(0.0, dtype)


def test_residual_identity_finds_what_is_more_than_rounding() -> None:
    with pytest.raises(SiteError, match="layer 0: resid_post differs from resid_pre"):
        give_residual(0.1, torch.float32)


def test_what_a_configuration_says_is_what_transformers_reads_from_it(case: Case) -> None:
    architecture = ARCHITECTURES[case.record["model_type"]]
    stored = json.loads((Path(case.record["path"]) / "config.json").read_text())
    config = AutoConfig.from_pretrained(case.record["path"])
    assert architecture.layers("tiny", stored) == config.num_hidden_layers
    assert architecture.positions("tiny", stored) == config.max_position_embeddings
    assert architecture.vocabulary("tiny", stored) == config.vocab_size
    model = AutoModelForCausalLM.from_config(config)
    blocks = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    norm = blocks[0].get_submodule(architecture.mlp_norm)
    assert type(norm).__name__.endswith(architecture.norm)
    assert architecture.epsilon(config.to_dict()) == (
        norm.eps if architecture.norm == "LayerNorm" else norm.variance_epsilon
    )


def test_windows_and_parallel_residual_are_those_of_the_architectures_that_have_them(case: Case) -> None:
    architecture, model_type = ARCHITECTURES[case.record["model_type"]], case.record["model_type"]
    config = AutoConfig.from_pretrained(case.record["path"]).to_dict()
    assert architecture.windows(config) == ({1: 256, 3: 256} if model_type == "gpt_neo" else {})
    assert architecture.parallel_residual(config) == (model_type == "gpt_neox")


@pytest.mark.parametrize("case", ["gpt_neo"], indirect=True)
def test_local_attention_of_gpt_neo_sees_no_further_than_its_window(case: Case) -> None:
    """The comparison above has teeth: a pass that dropped the window would differ, and only beyond 256 tokens."""
    without, _, _ = plain_pass(case.record, case.ids, window_size=512)
    local, wide = case.stored[1]["attn_out"], without[1]["attn_out"]
    assert difference(local[:, 256:], wide[:, 256:]) > 0.1
    assert difference(local[:, :256], wide[:, :256]) < 1e-5


def test_unsupported_architecture_is_refused_with_the_list(tmp_path: Path) -> None:
    save_random_tokens(tmp_path / "tokens.h5", 1, 8)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bloom"}))
    record = {"name": "big", "path": str(tmp_path)}
    with pytest.raises(UserError, match=r"models\.big: architecture 'bloom'") as error:
        extract(tmp_path / "tokens.h5", record, tmp_path / "shard.h5")
    assert str(error.value).endswith(", ".join(ARCHITECTURES))


class Block(nn.Module):
    """A block whose output is ``give(block, input)``."""

    def __init__(self, give: Callable) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.give = give

    def forward(self, x: torch.Tensor) -> object:
        return self.give(self, x)


TOY = Architecture(
    "blocks", {"resid_post": Tap("", "output"), "mlp_out": Tap("inner", "output")}, mlp_norm="", mlp_in=""
)


def tap_one_block(give: Callable) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What the hooks receive of one block for an input [3, 5, 4], and that input."""
    model = nn.Module()
    model.blocks = nn.ModuleList([Block(give)])
    x, received = torch.randn(3, 5, 4), {}
    try:
        with tapped(model, TOY, list(TOY.sites), lambda site, layer, tensor: received.update({site: tensor})) as check:
            model.blocks[0](x)
            check((3, 5), torch.float32)
    finally:
        assert not any(module._forward_hooks for module in model.modules())
    return x, received


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x, None)], ids=["tensor", "tuple"])
def test_block_may_give_a_tensor_or_a_tuple(wrap: Callable) -> None:
    x, received = tap_one_block(lambda block, x: wrap(x + 0 * block.inner(x)))
    assert torch.equal(received["resid_post"], x)


@pytest.mark.parametrize(
    ("give", "line"),
    [
        (lambda block, x: block.inner(x)[0], r"resid_post of layer 0 gave \(5, 4\)"),
        (lambda block, x: {"stream": block.inner(x)}, "resid_post of layer 0 gave dict"),
        (lambda block, x: block.inner(x)[:1], r"\(1, 5\), not \(3, 5\)"),
        (lambda block, x: x, "mlp_out of layer 0 fired 0 times"),
        (lambda block, x: block.inner(block.inner(x)), "mlp_out of layer 0 fired twice"),
    ],
    ids=["wrong ndim", "wrong type", "wrong batch", "never fires", "fires twice"],
)
def test_hook_that_cannot_be_right_is_an_error(give: Callable, line: str) -> None:
    with pytest.raises(SiteError, match=line):
        tap_one_block(give)
