"""Checks of meaning: sound models pass them in every precision, and each planted defect fails with its own line."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from own_attention import WINDOWED
from tiny_models import CASES, VARIANTS, alter_loading, change_weights, extract, save_random_tokens, save_tiny_model
from tiny_models import WINDOW as OUTER_WINDOW
from torch import nn
from transformers import AutoConfig

from layerscope.model import architectures, loading
from layerscope.model.architecture import Tap
from layerscope.model.architectures import ARCHITECTURES
from layerscope.model.checks import moves
from layerscope.model.hooks import SiteError
from layerscope.studies.path_length.extract import extract_paths
from layerscope.studies.token_similarity.extract import extract_vectors

DTYPES = ("float32", "float16", "bfloat16")
WINDOW = 256  # of the tiny GPT-Neo
LENGTH = {"gpt_neo": WINDOW + 8}  # of others 32, beyond their window, too
every_architecture = pytest.mark.parametrize("case", ARCHITECTURES, indirect=True)
every_variant = pytest.mark.parametrize("case", VARIANTS, indirect=True)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
# A defect that shows in float32 may be within the rounding of the others: of all architectures would take long.
every_architecture_or_dtype = pytest.mark.parametrize(
    ("case", "dtype"),
    [
        *((model_type, "float32") for model_type in ARCHITECTURES),
        *product(("gpt_neo", "gpt2", "llama", "gemma2"), DTYPES[1:]),
    ],
    indirect=["case"],
)
gpt_neo_only = pytest.mark.parametrize("case", ["gpt_neo"], indirect=True)


class Case:
    """A tiny model, and tokens for it that are longer than its window."""

    def __init__(self, model_type: str, folder: Path, **changes: object) -> None:
        self.model_type, self.folder = model_type, folder
        self.record = save_tiny_model(model_type, folder / "model", **changes)
        save_random_tokens(folder / "tokens.h5", 2, LENGTH.get(model_type, 32))

    def extract(self, **changes: Any) -> dict:
        return extract(self.folder / "tokens.h5", self.record, self.folder / "shard.h5", **changes)

    def refused(self, **changes: Any) -> str:
        """The line of an extraction that fails, after the name of the model."""
        with pytest.raises(SiteError) as error:
            self.extract(**changes)
        assert not (self.folder / "shard.h5").exists()
        line, name = str(error.value), f"models.{self.record['name']}: "
        assert line.startswith(name) and "\n" not in line
        return line.removeprefix(name)


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    model_type, changes = CASES[request.param]
    return Case(model_type, tmp_path, **changes)


def block_of(model: nn.Module, case: Case, layer: int) -> nn.Module:
    return model.get_submodule(ARCHITECTURES[case.model_type].blocks)[layer]


@every_dtype
@every_architecture
def test_sound_model_passes(case: Case, dtype: str) -> None:
    case.extract(dtype=dtype)


@every_dtype
@every_variant
def test_sound_variant_passes(case: Case, dtype: str) -> None:
    case.extract(dtype=dtype)


@gpt_neo_only
def test_models_own_precision_in_place_of_the_wanted_one(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    alter_loading(monkeypatch, lambda model: model.float())
    assert case.refused(dtype="bfloat16") == "resid_post of layer 0 is of torch.float32, not of torch.bfloat16"


@every_architecture_or_dtype
def test_scaled_residual(case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def scale(module: nn.Module, args: object, output: Any) -> Any:
        return (output[0] * 1.5, *output[1:]) if isinstance(output, tuple) else output * 1.5

    alter_loading(monkeypatch, lambda model: block_of(model, case, 1).register_forward_hook(scale))
    line = case.refused(dtype=dtype, sites=["q"])
    assert line.startswith("layer 1: resid_post differs from resid_pre + attn_out + mlp_out by up to ")


def move_tap(monkeypatch: pytest.MonkeyPatch, case: Case, site: str, tap: Tap) -> None:
    """Hook ``site`` elsewhere."""
    architecture = ARCHITECTURES[case.model_type]
    moved = replace(architecture, sites={**architecture.sites, site: tap})
    monkeypatch.setitem(architectures.ARCHITECTURES, case.model_type, moved)


@every_architecture_or_dtype
def test_mlp_pre_taken_after_the_non_linearity(case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    move_tap(monkeypatch, case, "mlp_pre", ARCHITECTURES[case.model_type].sites["mlp_post"])
    line = case.refused(dtype=dtype)
    assert line.startswith("mlp_pre of layer 0 is not W · norm(x) + b: neuron ") and " is rounding), " in line


@pytest.mark.parametrize("case", ["llama"], indirect=True)
def test_mlp_pre_taken_at_the_wrong_one_of_two_linear_layers(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    move_tap(monkeypatch, case, "mlp_pre", Tap("mlp.up_proj", "output"))
    assert case.refused().startswith("mlp_pre of layer 0 is not W · norm(x) + b")


@pytest.mark.parametrize("case", ["llama", "phi3", "gemma2"], indirect=True)
@pytest.mark.parametrize("site", ["mlp_gate", "mlp_up"])
def test_one_unit_of_a_gated_mlp_computed_with_other_weights(
    case: Case, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of each is made where that site alone is stored."""
    tap, width = ARCHITECTURES[case.model_type].sites[site], 80

    def double(module: nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[..., width * (site == "mlp_up" and case.model_type == "phi3") + 5] *= 2
        return output

    monkeypatch.setattr(loading, "use_onednn", lambda model: None)
    alter_loading(
        monkeypatch, lambda model: block_of(model, case, 1).get_submodule(tap.module).register_forward_hook(double)
    )
    assert case.refused(sites=[site]).startswith(f"{site} of layer 1 is not W · norm(x) + b: neuron 5 differs by ")
    case.extract(sites=["mlp_post"])


@gpt_neo_only
def test_mlp_pre_of_another_width(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    move_tap(monkeypatch, case, "mlp_pre", ARCHITECTURES["gpt_neo"].sites["mlp_out"])
    assert case.refused() == "mlp_pre of layer 0 has 32 neurons, its weights 128"


@every_architecture_or_dtype
def test_one_neuron_computed_with_other_weights(case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one neuron of one layer, as a kernel that does not use the module's weights would give."""

    def double(module: nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        return torch.cat([output[..., :5], 2 * output[..., 5:6], output[..., 6:]], dim=-1)

    path = ARCHITECTURES[case.model_type].mlp_in.module
    monkeypatch.setattr(loading, "use_onednn", lambda model: None)  # it would put a layer without this hook in place
    alter_loading(monkeypatch, lambda model: block_of(model, case, 1).get_submodule(path).register_forward_hook(double))
    line = case.refused(dtype=dtype)
    assert line.startswith("mlp_pre of layer 1 is not W · norm(x) + b: neuron 5 differs by ")
    case.extract(dtype=dtype, sites=["mlp_out"])  # the check is of mlp_pre, where that is stored


@pytest.mark.parametrize("case", [name for name in CASES if name != "olmo2"], indirect=True)  # its MLP has no norm
def test_norm_that_loses_its_mean_or_scale(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    config = AutoConfig.from_pretrained(case.record["path"]).to_dict()
    norm = ARCHITECTURES[case.model_type].norm_before_mlp(config) or ""
    alter_loading(
        monkeypatch,
        lambda model: (
            block_of(model, case, 2).get_submodule(norm).register_forward_hook(lambda module, args, output: args[0])
        ),
    )
    assert case.refused().startswith("mlp_pre of layer 2 is not W · norm(x) + b")


def see_ahead(model: nn.Module, layer: int, tokens: int) -> None:
    """Let a layer of GPT-Neo see so many tokens ahead."""

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: object) -> tuple:
        scores = query.float() @ key.float().transpose(-1, -2)
        seen = torch.ones_like(scores, dtype=torch.bool).tril(tokens)
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1).to(value.dtype) @ value, None

    model.h[layer].attn.attention._attn = attend


Kwargs = dict[str, Any]


def alter_attention(model: nn.Module, case: Case, layers: Iterable[int], alter: Callable[[Kwargs], Kwargs]) -> None:
    """Change what the attention of some layers is called with."""
    path = ARCHITECTURES[case.model_type].attn_projection.rpartition(".")[0]
    for layer in layers:
        block_of(model, case, layer).get_submodule(path).register_forward_pre_hook(
            lambda module, args, kwargs: (args, alter(kwargs)), with_kwargs=True
        )


def without_mask(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """Attention that sees every token: in all layers, of GPT-Neo in its third."""
    if case.model_type == "gpt_neo":
        alter_loading(monkeypatch, lambda model: see_ahead(model, 2, LENGTH["gpt_neo"]))
        return
    if ARCHITECTURES[case.model_type].attention == "eager":
        alter_loading(
            monkeypatch,
            lambda model: alter_attention(model, case, [0], lambda kwargs: kwargs | {"attention_mask": None}),
        )
        return
    attend = nn.functional.scaled_dot_product_attention

    def attend_to_all(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any) -> torch.Tensor:
        return attend(query, key, value, **{**options, "attn_mask": None, "is_causal": False})

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", attend_to_all)


@every_architecture_or_dtype
def test_attention_without_causal_mask(case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_mask(monkeypatch, case)
    line = case.refused(dtype=dtype)
    layer = 2 if case.model_type == "gpt_neo" else 0
    assert line.startswith(f"causality: resid_post of layer {layer} moves by ")
    assert line.endswith(" when a later token is changed")


@every_dtype
@gpt_neo_only
def test_layer_that_sees_one_token_ahead(case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alter_loading(monkeypatch, lambda model: see_ahead(model, 0, 1))
    assert case.refused(dtype=dtype).startswith("causality: resid_post of layer 0 moves by ")


@pytest.mark.parametrize("case", ["gpt2"], indirect=True)
def test_model_that_does_not_see_its_tokens(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    alter_loading(
        monkeypatch, lambda model: model.wte.register_forward_hook(lambda module, args, output: 0 * output + 1)
    )
    assert case.refused() == "causality: resid_post of layer 2 does not move when its own token is changed"


def set_window(model: nn.Module, layer: int, window: int) -> None:
    mask = model.h[layer].attn.attention.bias
    seen = torch.ones_like(mask).tril()
    mask.copy_(seen & ~seen.tril(-window))


@every_dtype
@gpt_neo_only
@pytest.mark.parametrize(
    ("window", "line"),
    [
        (10**6, f"with a token {WINDOW} back"),
        (WINDOW + 1, f"with a token {WINDOW} back"),
        (WINDOW - 1, f"window: attention of layer 3 does not reach the token {WINDOW - 1} back"),
    ],
    ids=["none", "too wide", "too narrow"],
)
def test_window_that_is_not_that_of_the_model(
    case: Case, dtype: str, window: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one local layer; the global ones have none."""
    alter_loading(monkeypatch, lambda model: set_window(model, 3, window))
    found = case.refused(dtype=dtype)
    assert found.startswith("window: attention of layer 3 ") and found.endswith(line)


@pytest.mark.parametrize("case", ["mistral", "qwen3", "gemma2", "gemma3_text", "phi3"], indirect=True)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (10**6, f"with a token {OUTER_WINDOW} back"),
        (1, f"with a token {OUTER_WINDOW} back"),
        (-1, f"window: attention of layer {{layer}} does not reach the token {OUTER_WINDOW - 1} back"),
    ],
    ids=["none", "too wide", "too narrow"],
)
def test_window_of_a_mask_from_outside_of_the_blocks(
    case: Case, change: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last layer that has one; all others keep theirs."""
    layer = WINDOWED[case.model_type][-1]

    def masked(kwargs: Kwargs) -> Kwargs:
        seen = torch.ones(2 * [kwargs["hidden_states"].shape[1]], dtype=torch.bool).tril()
        seen &= ~seen.tril(-OUTER_WINDOW - change)
        mask = torch.zeros(seen.shape).masked_fill(~seen, -torch.inf) if case.model_type == "gemma2" else seen
        return kwargs | {"attention_mask": mask[None, None]}

    alter_loading(monkeypatch, lambda model: alter_attention(model, case, [layer], masked))
    found = case.refused()
    assert found.startswith(f"window: attention of layer {layer} ") and found.endswith(line.format(layer=layer))


@gpt_neo_only
def test_window_does_not_matter_to_sequences_within_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    alter_loading(monkeypatch, lambda model: set_window(model, 3, 10**6))
    save_random_tokens(case.folder / "tokens.h5", 2, WINDOW)
    case.extract()


@every_dtype
@gpt_neo_only
@pytest.mark.parametrize(
    ("weights", "factor"), [(["out_proj.bias"], 1000), (["q_proj.weight", "k_proj.weight"], 10)], ids=["bias", "sharp"]
)
def test_window_is_seen_beside_a_large_bias_and_in_sharp_attention(
    case: Case, dtype: str, weights: list[str], factor: float
) -> None:
    def scale(tensors: dict[str, torch.Tensor]) -> None:
        for name in weights:
            tensors[f"transformer.h.3.attn.attention.{name}"] *= factor

    change_weights(case.record, scale)
    case.extract(dtype=dtype)


def paths(case: Case, mini_tokenizer: dict) -> None:
    types, spec = pd.DataFrame({"special": [False] * 8192, "partial": False}), {"dtype": "float32", "batch_size": 2}
    extract_paths(str(case.folder / "tokens.h5"), types, case.record, spec, "cpu", 1)


def vectors(case: Case, mini_tokenizer: dict) -> None:
    lines = case.folder / "lines"
    lines.write_text("The guests gave her a coat.\nHe told her.\nI saw her.\n")
    spec = {"sentences": str(lines), "target": "her", "seed": 0, "dtype": "float32", "batch_size": 2}
    extract_vectors(case.record, mini_tokenizer, spec, "cpu", 1, case.folder / "vectors.h5")


@pytest.mark.parametrize("job", [paths, vectors])
def test_jobs_that_store_no_activations_check_too(
    job: Callable[[Case, dict], None], tmp_path: Path, mini_tokenizer: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case("gpt2", tmp_path, vocab_size=8192)
    job(case, mini_tokenizer)
    without_mask(monkeypatch, case)
    with pytest.raises(SiteError, match=r"^models\.gpt2: causality: "):
        job(case, mini_tokenizer)


def noisy(values: torch.Tensor, leak: float, size: float) -> torch.Tensor:
    """One layer [1, tokens, width] whose sums come out a little differently in every run."""
    stream = values.cumsum(dim=1) + leak * values.flip(1)
    return stream + size * torch.randn_like(stream)


@pytest.mark.parametrize(("leak", "noise", "seen"), [(0, 0, 0), (0, 1e-3, 0), (0.1, 0, 1), (0.1, 1e-3, 1)])
def test_what_varies_from_run_to_run_is_no_move_and_what_is_more_is(leak: float, noise: float, seen: int) -> None:
    torch.manual_seed(0)
    given = torch.randn(1, 16, 64)
    changed = given.clone()
    changed[:, -1] += 1
    moved = moves(partial(noisy, leak=leak, size=noise), given, changed, slice(0, -1))
    assert (moved[0, :-1] > 0).sum() == seen
    assert moved[0, -1] > 0
