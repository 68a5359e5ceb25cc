"""Each site of each architecture against a plain transformers forward pass, and what the hooks must refuse."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from architecture_cases import ALLOWED, Case, from_own_attention, from_plain_pass, make_case
from models_page import PAGE, with_tables
from own_attention import WINDOW_SIZE, WINDOWED
from plain_forward import blocks_of, difference, plain_pass
from tiny_models import CASES, LAYERS, extract, save_random_tokens
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from layerscope.io.errors import UserError
from layerscope.model.architecture import SITES, Architecture, Tap, Unembedding
from layerscope.model.architectures import ARCHITECTURES
from layerscope.model.hooks import SiteError, tapped
from layerscope.model.model_config import architecture
from layerscope.model.residual_identity import ResidualIdentity


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    return cache(lambda name: make_case(name, tmp_path_factory.mktemp("case")))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, case_of: Callable[[str], Case]) -> Case:
    return case_of(request.param)


def test_stored_sites_equal_a_plain_forward_pass(case: Case) -> None:
    assert len(case.stored) == LAYERS[case.name]
    for site, found in from_plain_pass(case).items():
        assert found < ALLOWED, site


def test_attention_of_stored_q_k_and_v_is_the_stored_attn_out(case: Case) -> None:
    """Beyond the window, and computed without transformers: so masks, norms of q and k, and positions are right."""
    assert from_own_attention(case) < ALLOWED


def test_page_of_models_says_what_the_tests_find(case_of: Callable[[str], Case]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page, case_of), "docs/models.md is out of date: run python tests/models_page.py"


def test_residual_stream_equals_the_hidden_states_of_transformers(case: Case) -> None:
    _, hidden, model = plain_pass(case.record, case.ids)
    for layer, stored in enumerate(case.stored):
        assert difference(stored["resid_pre"], hidden[layer]) < 1e-5
        if layer + 1 < len(case.stored):
            assert difference(stored["resid_post"], hidden[layer + 1]) < 1e-5
    # The last hidden state is after the final norm; the last block's output is not.
    last = case.stored[-1]["resid_post"]
    base = model.base_model.decoder if case.record["model_type"] == "opt" else model.base_model
    norm = next(module for name, module in base.named_children() if "norm" in name or name == "ln_f")
    with torch.no_grad():
        final = norm(torch.from_numpy(last))
        if case.name == "opt, projected embeddings":
            final = base.project_out(final)
        else:
            assert difference(last, hidden[-1]) > 0.1
        assert difference(final.numpy(), hidden[-1]) < 1e-5


# The activation functions of gated MLPs, written from the papers of their models.
ACTIVATIONS = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "olmo2", "phi3"), lambda x: x / (1 + np.exp(-x))),
    **dict.fromkeys(
        ("gemma2", "gemma3_text"), lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
}


def test_gate_and_up_make_what_enters_the_projection(case: Case) -> None:
    """In float64, from what is stored; without a gate there are no such sites."""
    if case.name not in ACTIVATIONS:
        assert not {"mlp_gate", "mlp_up"} & set(case.stored[0])
        return
    act = ACTIVATIONS[case.name]
    for stored in case.stored:
        gate, up = (stored[site].astype(np.float64) for site in ("mlp_gate", "mlp_up"))
        assert np.array_equal(stored["mlp_gate"], stored["mlp_pre"])
        found = stored["mlp_post"]
        assert np.abs(found - act(gate) * up).max() < 1e-5 * np.abs(found).max()
        assert np.abs(found - act(up) * gate).max() > 0.1 * np.abs(found).max()  # so the two are told apart


def test_every_site_is_of_some_architecture() -> None:
    """In the order in which tables and error lines name them."""
    assert {site for of in ARCHITECTURES.values() for site in of.sites} == set(SITES)
    for of in ARCHITECTURES.values():
        assert list(of.sites) == [site for site in SITES if site in of.sites]


def test_site_that_a_model_lacks_is_refused_before_anything_is_stored(case_of: Callable, tmp_path: Path) -> None:
    case = case_of("gpt2")
    save_random_tokens(tmp_path / "tokens.h5", 1, 8)
    with pytest.raises(UserError) as error:
        extract(tmp_path / "tokens.h5", case.record, tmp_path / "shard.h5", sites=["resid_post", "mlp_up"])
    assert str(error.value) == (
        "models.gpt2: 'mlp_up' is no site of gpt2: the MLP of architecture gpt2 has no gate; name mlp_pre or mlp_post, "
        "which it has"
    )
    assert not (tmp_path / "shard.h5").exists()


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
    blocks = blocks_of(model)
    path = architecture.norm_before_mlp(config.to_dict())
    if path is None:
        assert case.name == "olmo2"
        return
    norm = blocks[0].get_submodule(path)
    assert type(norm).__name__.endswith(architecture.norm)
    assert architecture.epsilon(config.to_dict()) == getattr(norm, "eps", None) or norm.variance_epsilon


PARALLEL = {"gpt_neox", "gptj", "falcon", "falcon, grouped keys and two norms", "falcon, grouped keys and one norm"}


def test_windows_and_parallel_residual_are_those_of_the_architectures_that_have_them(case: Case) -> None:
    architecture = ARCHITECTURES[case.record["model_type"]]
    config = AutoConfig.from_pretrained(case.record["path"]).to_dict()
    assert architecture.windows(config) == dict.fromkeys(WINDOWED.get(case.name, ()), WINDOW_SIZE.get(case.name))
    assert architecture.parallel(config) == (case.name in PARALLEL)


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
    assert f"supported are {', '.join(ARCHITECTURES)}; docs/adding-a-model.md" in str(error.value)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            {"model_type": "opt", "do_layer_norm_before": False},
            "models.m: its config.json has do_layer_norm_before: false; supported are models of this architecture with "
            "do_layer_norm_before: true (docs/models.md)",
        ),
        (
            {"model_type": "opt", "_remove_final_layer_norm": True},
            "models.m: its config.json has _remove_final_layer_norm: true; supported are models of this architecture "
            "with _remove_final_layer_norm: false (docs/models.md)",
        ),
        (
            {"model_type": "gemma3_text", "use_bidirectional_attention": True},
            "models.m: its config.json has use_bidirectional_attention: true; supported are models of this "
            "architecture with use_bidirectional_attention: false (docs/models.md)",
        ),
        (
            {"model_type": "gemma3"},
            "models.m: architecture 'gemma3' is not supported (it takes images, too; text models of Gemma 3 have ",
        ),
    ],
)
def test_variant_of_which_sites_would_mean_something_else_is_refused(config: dict, line: str) -> None:
    with pytest.raises(UserError) as error:
        architecture("m", config)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, True])
def test_variant_that_says_nothing_else_is_supported(value: object) -> None:
    assert architecture("m", {"model_type": "opt", "do_layer_norm_before": value}) is ARCHITECTURES["opt"]


class Block(nn.Module):
    """A block whose output is ``give(block, input)``."""

    def __init__(self, give: Callable) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.give = give

    def forward(self, x: torch.Tensor) -> object:
        return self.give(self, x)


TOY = Architecture(
    "blocks",
    {"resid_post": Tap("", "output"), "mlp_out": Tap("inner", "output")},
    attn_projection="",
    mlp_norm=None,
    mlp_in=Tap("inner", "output"),
    unembedding=Unembedding("norm", "embedding"),
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
