"""Batches that a GPU has room for, against the tensors that exist at a time in a forward pass, on a CPU."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from live_bytes import LiveBytes
from tiny_models import CONFIGS, save_tiny_model

from layerscope.model.batch_size import GPU_BATCH_TOKENS, batch_size_of
from layerscope.model.gpu_memory import SHARE, bytes_of_token, tokens_that_fit
from layerscope.model.loading import LoadedModel, choose_device, load_base_model, open_model

SEQUENCES, LENGTH = 4, 64
WIDER = {  # so that what a layer makes outweighs the tokens and their positions
    **{key: {"hidden_size": 128, "intermediate_size": 384} for key in CONFIGS},
    **{key: {"hidden_size": 128} for key in ("gpt_neo", "falcon")},
    **{key: {"n_embd": 128} for key in ("gpt2", "gptj")},
    "opt": {"hidden_size": 128, "ffn_dim": 512},
}


@pytest.fixture(scope="module", params=CONFIGS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    record = save_tiny_model(request.param, tmp_path_factory.mktemp(request.param), **WIDER[request.param])
    rows = torch.randint(0, 200, (SEQUENCES, LENGTH)).numpy()
    return open_model(record, "float32", "cpu", 1, rows)


def test_a_forward_pass_needs_no_more_than_is_expected(model: LoadedModel) -> None:
    batch = torch.randint(0, 200, (SEQUENCES, LENGTH))
    with torch.inference_mode(), LiveBytes() as live:
        model.base(input_ids=batch, use_cache=False)
    expected = bytes_of_token(model, LENGTH) * batch.numel()
    assert live.most < expected < 8 * live.most


def test_a_batch_follows_the_free_memory(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu = dataclasses.replace(model, device=torch.device("cuda"))
    free = 5 * LENGTH * bytes_of_token(model, LENGTH) / SHARE
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    most = tokens_that_fit(on_gpu, LENGTH)
    assert most == pytest.approx(5 * LENGTH)
    assert batch_size_of("auto", LENGTH, 1000, "cuda", most + 1) == 5
    assert batch_size_of("auto", LENGTH, 3, "cuda", most + 1) == 3
    assert batch_size_of("auto", LENGTH, 1000, "cuda", 0.5 * LENGTH) == 1
    assert batch_size_of("auto", LENGTH, 1000, "cuda", 1e9) == GPU_BATCH_TOKENS // LENGTH
    assert batch_size_of(7, LENGTH, 1000, "cuda", most) == 7
    assert tokens_that_fit(model, LENGTH) == math.inf


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_forward_pass_on_a_gpu_needs_no_more_than_is_expected(tmp_path: Path) -> None:
    record = save_tiny_model("gpt_neo", tmp_path, hidden_size=512)
    device = choose_device("cuda")
    base = load_base_model(record, "float32", device)
    model = open_model(record, "float32", "cuda", 1, torch.zeros(8, 256, dtype=torch.long).numpy())
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        base(input_ids=torch.zeros(8, 256, dtype=torch.long, device=device), use_cache=False)
    assert torch.cuda.max_memory_allocated() - before < 8 * 256 * bytes_of_token(model, 256)
