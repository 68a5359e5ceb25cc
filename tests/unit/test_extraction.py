"""Extraction as a whole: batches, precisions, refusals, the writer thread and the log."""

import copy
import json
import logging
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import COMMON, LAYERS, alter_loading, change_weights, extract, save_random_tokens, save_tiny_model
from torch import nn
from transformers.pytorch_utils import Conv1D

from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.errors import UserError
from layerscope.io.hdf5 import attributes_of
from layerscope.model import loading
from layerscope.model.architectures import ARCHITECTURES
from layerscope.model.batch_size import CPU_BATCH_TOKENS, batch_size_of
from layerscope.model.checks import CAUSAL_TOKENS
from layerscope.model.hooks import SiteError
from layerscope.model.loading import choose_device, open_model
from layerscope.model.onednn import OneDNNLinear, use_onednn
from layerscope.model.progress import Progress

LENGTH = 32
SITES = ARCHITECTURES["gpt2"].sites
PUTS = len(SITES) * LAYERS["gpt2"] * 3  # tensors that a run of six sequences hands to the writer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token shard of six sequences."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.h5"
    save_random_tokens(path, 6, LENGTH)
    return path


@pytest.fixture(scope="module")
def exact(model: dict, tokens: Path) -> dict[str, np.ndarray]:
    """Values in float32 with two sequences a batch."""
    extract(tokens, model, tokens.with_name("exact.h5"))
    return values(tokens.with_name("exact.h5"))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "activations" / "shard.h5"


@pytest.fixture
def no_hang() -> Iterator[None]:
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waited for five minutes"))
    signal.alarm(300)
    yield
    signal.alarm(0)


def values(path: Path) -> dict[str, np.ndarray]:
    """Every dataset of a shard, as float32."""
    names = [f"{site}/layer_{layer:02d}" for site in SITES for layer in range(LAYERS["gpt2"])]
    with h5py.File(path) as file:
        return {name: file[name][:].astype(np.float32) for name in names}


def difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> np.ndarray:
    """Largest difference relative to the largest value, of each dataset."""
    return np.array([np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max() for name in expected])


def refusal(run: Callable[[], object], output: Path) -> str:
    """The line of a run's UserError; such a run must leave nothing behind."""
    with pytest.raises(UserError) as error:
        run()
    assert not output.parent.exists() or not list(output.parent.iterdir())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_last_batch_that_is_not_full_gives_the_same_bits(
    model: dict, output: Path, exact: dict[str, np.ndarray], tmp_path: Path
) -> None:
    save_random_tokens(tmp_path / "five.h5", 5, LENGTH)
    extract(tmp_path / "five.h5", model, output)
    found = values(output)
    assert all(np.array_equal(found[name], exact[name][: 5 * LENGTH]) for name in exact)


def test_only_the_wanted_sites_are_stored(model: dict, tokens: Path, output: Path, exact: dict) -> None:
    extract(tokens, model, output, sites=["mlp_pre"])
    with h5py.File(output) as file:
        assert set(file) == {"mlp_pre", "tokens"}
        assert all(np.array_equal(file[f"mlp_pre/{layer}"], exact[f"mlp_pre/{layer}"]) for layer in file["mlp_pre"])


@pytest.mark.parametrize("batch_size", [1, 4, 6, 16])
def test_batch_size_is_that_of_the_passes_and_does_not_change_values(
    model: dict, tokens: Path, output: Path, exact: dict, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    def watch(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        shapes.append(tuple(inputs[0].shape))

    alter_loading(monkeypatch, lambda loaded: loaded.wte.register_forward_pre_hook(watch))
    extract(tokens, model, output, batch_size=batch_size)
    assert shapes == [(1, CAUSAL_TOKENS)] * 2 + [(batch_size, LENGTH)] * -(-6 // batch_size)
    assert difference(values(output), exact).max() < 1e-5


def test_automatic_batch_size_follows_the_length_and_the_number_of_sequences() -> None:
    assert batch_size_of("auto", 512, 16, "cpu") == CPU_BATCH_TOKENS // 512
    assert batch_size_of("auto", 512, 2, "cpu") == 2
    assert batch_size_of("auto", 10**6, 16, "cpu") == 1


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.05), ("float16", 0.006)])
def test_lower_compute_precision_is_near_float32(
    model: dict, tokens: Path, output: Path, exact: dict, dtype: str, tolerance: float
) -> None:
    extract(tokens, model, output, dtype=dtype)
    off = difference(values(output), exact)
    assert off.min() > 0 and off.max() < tolerance


def test_float16_storage_rounds_and_no_more(model: dict, tokens: Path, output: Path, exact: dict) -> None:
    extract(tokens, model, output, storage_dtype="float16")
    found = values(output)
    assert all(np.array_equal(found[name], exact[name].astype(np.float16)) for name in exact)


def test_float16_storage_refuses_what_it_cannot_hold(tokens: Path, output: Path, tmp_path: Path) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    change_weights(record, lambda weights: weights["transformer.h.1.mlp.c_fc.bias"][3].fill_(1e5))
    line = refusal(lambda: extract(tokens, record, output, storage_dtype="float16"), output)
    assert line.startswith("models.gpt2: mlp_pre of layer 1 reaches 1e+05, more than float16 can store")
    extract(tokens, record, output)  # float32 holds it


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weight_that_is_not_finite_is_found_at_its_site(
    tokens: Path, output: Path, tmp_path: Path, value: float
) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    change_weights(record, lambda weights: weights["transformer.h.1.mlp.c_fc.bias"][3].fill_(value))
    line = refusal(lambda: extract(tokens, record, output), output)
    assert line.startswith("models.gpt2: mlp_pre of layer 1 holds NaN or Inf in ")


def test_missing_weight_is_not_made_up(tokens: Path, output: Path, tmp_path: Path) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    change_weights(record, lambda weights: weights.pop("transformer.h.1.mlp.c_fc.weight"))
    line = refusal(lambda: extract(tokens, record, output), output)
    assert line.startswith("models.gpt2:") and "lacks 1 weights, h.1.mlp.c_fc.weight" in line


def test_sequence_longer_than_the_positions_is_refused(model: dict, output: Path, tmp_path: Path) -> None:
    save_random_tokens(tmp_path / "long.h5", 1, 129)
    line = refusal(lambda: extract(tmp_path / "long.h5", model, output), output)
    assert "129 is longer than the 128 positions of gpt2" in line


def test_token_beyond_the_vocabulary_is_refused(
    model: dict, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMON, "vocab_size", 10_000)
    save_random_tokens(tmp_path / "foreign.h5", 1, LENGTH)
    line = refusal(lambda: extract(tmp_path / "foreign.h5", model, output), output)
    assert re.match(r"models\.gpt2: token \d{3,4} is beyond the model's vocabulary of 211", line)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_where_there_is_none_is_refused(output: Path) -> None:
    line = refusal(lambda: choose_device("cuda"), output)
    assert line.startswith("extraction.device: cuda, but no GPU is usable here")
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_gives_the_values_of_the_cpu(model: dict, tokens: Path, output: Path, exact: dict) -> None:
    extract(tokens, model, output, device="cuda")
    assert difference(values(output), exact).max() < 1e-4


def test_root_attributes_say_how_the_values_came_about(model: dict, tokens: Path, output: Path) -> None:
    extract(tokens, {**model, "commit": "c0ffee"}, output, dtype="bfloat16", storage_dtype="float16")
    with h5py.File(output) as file, h5py.File(tokens) as token_file:
        found = attributes_of(file)
        for name in ("input_ids", "sequence", "position", "document"):
            assert np.array_equal(file["tokens"][name], token_file["tokens"][name])
        expected = {
            "model": "gpt2",
            "model_source": model["path"],
            "model_commit": "c0ffee",
            "model_type": "gpt2",
            "weights": "trained",
            "tokenizer": "here",
            "tokenizer_source": "here",
            "tokenizer_commit": "here",
            "corpus": "here",
            "token_shard_digest": attributes_of(token_file)["digest"],
            "dtype": "bfloat16",
            "storage_dtype": "float16",
            "attention_implementation": "sdpa",
            "batch_size": 2,
            "device": "cpu",
            "torch_version": torch.__version__,
            "h5py_version": h5py.__version__,
        }
    assert {key: found.get(key) for key in expected} == expected
    assert {"format", "transformers_version", "layerscope_version", "site_definitions"} <= set(found)


def test_random_weights_are_those_of_the_architecture_and_always_the_same(model: dict) -> None:
    first, again = (
        loading.load_base_model({**model, "weights": "random"}, "float32", torch.device("cpu")) for _ in "ab"
    )
    trained = loading.load_base_model(model, "float32", torch.device("cpu"))
    for name, values in first.state_dict().items():
        assert torch.equal(values, again.state_dict()[name])
        assert values.shape == trained.state_dict()[name].shape
    assert not torch.equal(first.h[0].mlp.c_fc.weight, trained.h[0].mlp.c_fc.weight)


def test_module_that_runs_twice_is_named(
    model: dict, tokens: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_twice(loaded: torch.nn.Module) -> None:
        once = loaded.h[1].mlp.forward
        loaded.h[1].mlp.forward = lambda x: (once(x), once(x))[1]

    alter_loading(monkeypatch, run_twice)
    with pytest.raises(SiteError, match="mlp_pre of layer 1 fired twice"):
        extract(tokens, model, output, batch_size=6)
    assert not list(output.parent.iterdir())


@pytest.mark.usefixtures("no_hang")
@pytest.mark.parametrize("failing", [1, 20, PUTS - 5, PUTS])
def test_failure_of_the_writer_thread_fails_the_job(
    model: dict, tokens: Path, output: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    append, calls, passes = ActivationShardWriter.append, [], []

    def fail_once(*args: object) -> None:
        calls.append(args)
        if len(calls) == failing:
            time.sleep(0.3)  # by now the queue is full, and computing waits for room or for the end
            raise OSError("no space left")
        append(*args)

    monkeypatch.setattr(ActivationShardWriter, "append", fail_once)
    alter_loading(monkeypatch, lambda loaded: loaded.wte.register_forward_hook(lambda *_: passes.append(1)))
    with pytest.raises(OSError, match="no space left"):
        extract(tokens, model, output)
    assert len(calls) == failing  # nothing is written after a failure,
    assert len(passes) == 2 + -(-failing // (PUTS // 3))  # and nothing computed; two passes check causality
    assert not list(output.parent.iterdir())


def test_progress_in_a_log_is_lines_that_a_person_can_read(
    capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), Progress(1024, "gpt2", every=0) as progress:
        progress.advance(512)
        progress.advance(512)
    half, end = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"gpt2: 512 of 1024 tokens \(50%\), \d+ tokens/s, \d\d:\d\d left", half)
    assert re.fullmatch(r"gpt2: 1024 of 1024 tokens \(100%\), \d+ tokens/s, 00:00 left", end)
    assert capfd.readouterr() == ("", "")  # no bar, so no carriage returns


def test_progress_in_a_log_speaks_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Progress(1000, "gpt2") as progress:
        for _ in range(1000):
            progress.advance(1)
    assert len(caplog.records) == 1  # the end; a run of less than ten seconds has no line before it


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6, 20), (2, 3, 20)])
def test_linear_layers_by_onednn_equal_plain_ones(bias: bool, shape: tuple[int, ...]) -> None:
    plain = nn.ModuleDict({"linear": nn.Linear(20, 7, bias=bias), "conv": Conv1D(7, 20)})
    nn.init.normal_(plain["conv"].bias)
    replaced = copy.deepcopy(plain)
    use_onednn(replaced)
    x = torch.randn(shape)
    for name in plain:
        assert isinstance(replaced[name], OneDNNLinear)
        with torch.inference_mode():
            torch.testing.assert_close(replaced[name](x), plain[name](x), rtol=0, atol=1e-6)


def test_onednn_only_serves_float32_on_the_cpu(model: dict) -> None:
    opened = {dtype: open_model(model, dtype, "cpu", 1, np.zeros((1, 8), int)) for dtype in ("float32", "bfloat16")}
    found = {dtype: any(isinstance(layer, OneDNNLinear) for layer in opened[dtype].base.modules()) for dtype in opened}
    assert found == {"float32": True, "bfloat16": False}


def test_tf32_is_off(model: dict) -> None:
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    for backend in backends:
        backend.allow_tf32 = True
    open_model(model, "float32", "cpu", 1, np.zeros((1, 8), int))
    assert not any(backend.allow_tf32 for backend in backends)


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    safe = tmp_path / "model/model.safetensors"
    torch.save(load_file(safe), tmp_path / "model/pytorch_model.bin")
    loading.load_base_model(record, "float32", torch.device("cpu"))
    safe.unlink()
    with pytest.raises(UserError, match=r"holds no model\.safetensors .*pickled weights are not loaded"):
        loading.load_base_model(record, "float32", torch.device("cpu"))


@pytest.mark.parametrize("weights", ["trained", "random"])
def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path, weights: str) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    config = tmp_path / "model/config.json"
    code = {"AutoConfig": "own_code.Config", "AutoModel": "own_code.Model"}
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": code}))
    (tmp_path / "model/own_code.py").write_text(
        f"from transformers import GPT2Config as Config, GPT2Model as Model\nopen({str(tmp_path / 'ran')!r}, 'w')\n"
    )
    loaded = loading.load_base_model({**record, "weights": weights}, "float32", torch.device("cpu"))
    assert type(loaded).__module__.startswith("transformers.")
    assert not (tmp_path / "ran").exists()
