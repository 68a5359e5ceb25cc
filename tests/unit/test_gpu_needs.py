"""Memory of jobs on a GPU, against the tensors that exist at a time in such jobs, on a CPU."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from live_bytes import LiveBytes
from texts import table_of_types
from tiny_models import CASES, COMMON, extract, open_with_size, save_random_tokens, save_tiny_model

from layerscope.io.files import write_json
from layerscope.model.batch_size import batch_size_of
from layerscope.model.gpu_memory import SHARE, bytes_of_token
from layerscope.preflight.config import Config
from layerscope.studies.path_length import reduce_streams
from layerscope.studies.path_length.extract import extract_paths
from layerscope.summarize.summarize_shard import summarize_run
from layerscope.workflow.gpu_needs import GPUMemory, forward_bytes, gpu_memory
from layerscope.workflow.job_costs import JobCosts
from layerscope.workflow.model_size import ModelSize, model_size
from layerscope.workflow.resources import Expected, Needs

SEQUENCES, LENGTH, TYPES = 8, 64, 10
DTYPES = ("float32", "bfloat16")
COMPUTE = {"dtype": "float32", "batch_size": SEQUENCES}
GPT_NEO_125M = ModelSize(12, 768, 3072, 7_077_888, 40_170_240, eager_heads=12)
GPT_NEO_1_3B = ModelSize(24, 2048, 8192, 50_331_648, 107_120_640, eager_heads=16)


def config_of(sequences: int, length: int, token_types: int = 8192, **extraction: object) -> Config:
    model = {"source": "a/b", "tokenizer": "t", "layers": 1}
    sources = {"models": {"m": model}, "tokenizers": {"t": {"source": "a/b"}}, "corpora": {"c": {"source": "a/b"}}}
    sampling = {"sequences": sequences, "sequence_length": length, "sequences_per_shard": sequences}
    studies = dict.fromkeys(("token_length", "token_similarity", "path_length"))
    config = {**sources, "sampling": sampling, "extraction": extraction, "studies": studies}
    return Config.model_validate(config | {"summaries": {"token_types": token_types}})


def memory(config: Config, size: ModelSize, rule: str) -> GPUMemory:
    needs = Needs(config, gpu=True)
    found = gpu_memory(config, needs, size, [JobCosts(rule, 1, Expected(0, 0), needs.shard)])
    assert found
    return found


@pytest.mark.parametrize("name", CASES)
def test_forward_pass_is_that_of_the_loaded_model(name: str, tmp_path: Path) -> None:
    model_type, changes = CASES[name]
    record = save_tiny_model(model_type, tmp_path, **changes)
    size, loaded = open_with_size(record, tmp_path)
    assert forward_bytes(size, LENGTH) == bytes_of_token(loaded, LENGTH)
    assert all(size.width(site) == loaded.width(site) for site in ("mlp_pre", "mlp_out", "q", "k", "v", "resid_pre"))


def summarize(folder: Path, record: dict) -> None:
    spec = {"site": "mlp_pre", "token_types": TYPES}
    types = table_of_types(0, COMMON["vocab_size"])
    summarize_run(str(folder / "tokens.h5"), types, record, COMPUTE, spec, "cpu", 1, folder / "summary.h5")


def store(folder: Path, record: dict) -> None:
    extract(folder / "tokens.h5", record, folder / "shard.h5", sites=["mlp_pre"], batch_size=SEQUENCES)


def reduce(folder: Path, record: dict) -> None:
    types = table_of_types(0, COMMON["vocab_size"])
    extract_paths(str(folder / "tokens.h5"), types, record, COMPUTE, "cpu", 1)


@pytest.mark.parametrize(("rule", "job"), [("summarize", summarize), ("extract", store), ("extract_paths", reduce)])
@pytest.mark.parametrize(("model_type", "wider"), [("gpt_neo", {"hidden_size": 128}), ("gpt2", {"n_embd": 128})])
def test_a_job_takes_no_more_than_is_expected(
    rule: str,
    job: Callable[[Path, dict], None],
    model_type: str,
    wider: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reduce_streams, "CACHED_TOKENS", SEQUENCES * LENGTH)  # as on a GPU
    record = save_tiny_model(model_type, tmp_path / "model", **wider)
    write_json(tmp_path / "record.json", record)
    tokens = save_random_tokens(tmp_path / "tokens.h5", SEQUENCES, LENGTH)
    monkeypatch.setattr(Needs, "clusters", lambda *_: len(np.unique(tokens.document)))
    with LiveBytes() as live:
        job(tmp_path, record)
    config = config_of(SEQUENCES, LENGTH, TYPES, batch_size=SEQUENCES)
    expected = memory(config, model_size(str(tmp_path / "record.json")), rule)
    assert live.most < expected.most < 4 * live.most
    assert expected.least == expected.most  # since the batch is set


@pytest.mark.parametrize("size", [GPT_NEO_125M, GPT_NEO_1_3B])
@pytest.mark.parametrize("rule", ["extract", "summarize", "extract_paths"])
def test_a_gpu_of_the_least_memory_holds_the_batch_that_it_leads_to(size: ModelSize, rule: str) -> None:
    config = config_of(2048, 512)
    found = memory(config, size, rule)
    whole = config_of(2048, 512, batch_size=1)
    of_sequence = memory(config_of(2048, 512, batch_size=2), size, rule).most - memory(whole, size, rule).most
    beside_batch = memory(whole, size, rule).most - of_sequence
    for total in np.linspace(found.least, 2 * found.most, 20):
        free = total - 4 * size.weights
        batch = batch_size_of("auto", 512, 2048, "cuda", SHARE * free / of_sequence * 512)
        assert beside_batch + batch * of_sequence <= total * (1 + 1e-9)
    assert found.most == beside_batch + 32 * of_sequence  # 16,384 tokens
    assert found.least <= found.most


def test_half_precision_halves_the_weights() -> None:
    whole, half = (memory(config_of(8, 512, dtype=dtype), GPT_NEO_125M, "extract_paths") for dtype in DTYPES)
    assert whole.least - half.least == 2 * GPT_NEO_125M.weights


def test_jobs_that_run_no_model_need_no_gpu() -> None:
    config = config_of(8, 512)
    assert gpu_memory(config, Needs(config), GPT_NEO_125M, [JobCosts("describe_weights", 1, Expected(1, 1))]) is None
