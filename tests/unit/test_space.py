"""The estimate of what shards take on the disk, checked against real files and the space there is."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from texts import table_of_types
from tiny_models import CASES, COMMON, extract, save_random_tokens, save_tiny_model, sites_of

from layerscope.extract.disk_space import shard_bytes, smaller
from layerscope.io.disk_space import check_space
from layerscope.io.errors import UserError
from layerscope.model.loading import LoadedModel, open_model
from layerscope.model.run import ModelRun
from layerscope.summarize.summarize_shard import summarize_run, summarize_stored

SPEC = {"storage_dtype": "float32", "compression": "none"}
GB = 10**9


def check(output: Path, shards: int, size: int, spec: dict) -> None:
    """As an extraction checks."""
    check_space(output, shards, size, "activation shards", smaller(spec))


def opened(record: dict) -> LoadedModel:
    return open_model(record, "float32", "cpu", 1, np.zeros((1, 8), dtype=int))


@pytest.mark.parametrize("name", CASES)
def test_widths_are_those_of_the_stored_sites(tmp_path: Path, name: str) -> None:
    model_type, changes = CASES[name]
    record = save_tiny_model(model_type, tmp_path / "model", **changes)
    save_random_tokens(tmp_path / "tokens.h5", 2, 16)
    manifest = extract(tmp_path / "tokens.h5", record, tmp_path / "shard.h5")
    model = opened(record)
    assert len(manifest["datasets"]) == len(sites_of(record)) * model.layers
    for place, dataset in manifest["datasets"].items():
        assert model.width(place.partition("/")[0]) == dataset["shape"][1]


@pytest.mark.parametrize(
    ("sequences", "changes"),
    [
        (4, {}),  # whole chunks of rows
        (5, {}),  # a chunk that is filled up
        (4, {"n_embd": 72, "n_inner": 300}),  # columns that are filled up
    ],
)
@pytest.mark.parametrize("storage_dtype", ["float32", "float16"])
def test_estimate_is_the_size_of_the_file(tmp_path: Path, sequences: int, changes: dict, storage_dtype: str) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model", **changes)
    save_random_tokens(tmp_path / "tokens.h5", sequences, 128)
    extract(tmp_path / "tokens.h5", record, tmp_path / "shard.h5", storage_dtype=storage_dtype)
    estimate = shard_bytes(opened(record), sites_of(record), sequences * 128, storage_dtype)
    assert estimate == pytest.approx((tmp_path / "shard.h5").stat().st_size, rel=0.03)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The free space that every disk has; to be changed."""
    usage = SimpleNamespace(free=10 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    return usage


def test_what_has_no_room_is_refused_with_both_figures(tmp_path: Path, free: SimpleNamespace) -> None:
    check(tmp_path / "shard_0000.h5", 10, GB, SPEC)
    free.free -= 1
    with pytest.raises(UserError) as error:
        check(tmp_path / "shard_0000.h5", 10, GB, SPEC)
    assert str(error.value) == (
        f"{tmp_path}: 10 activation shards need 10 GB, and 10 GB are free there; free some, lower sampling.sequences, "
        "or set extraction.storage_dtype: float16 (half as much) or extraction.compression: gzip (slow)"
    )


def test_who_stores_half_precision_is_not_told_to(tmp_path: Path, free: SimpleNamespace) -> None:
    free.free = GB // 4
    with pytest.raises(UserError, match=r"2 activation shards need 2 GB, and 250 MB are free") as error:
        check(tmp_path / "shard_0000.h5", 2, GB, {**SPEC, "storage_dtype": "float16"})
    assert "float16" not in str(error.value)


def test_shards_that_are_there_need_nothing_but_the_one_that_is_made_anew(
    tmp_path: Path, free: SimpleNamespace
) -> None:
    for shard in (0, 1, 7):  # the last is of an earlier, larger sample
        (tmp_path / f"shard_{shard:04d}.h5").touch()
    free.free = 3 * GB
    check(tmp_path / "shard_0001.h5", 4, GB, SPEC)  # itself, and 2 and 3
    check(tmp_path / "shard_0002.h5", 5, GB, SPEC)
    with pytest.raises(UserError, match="4 activation shards need 4 GB, and 3 GB are free"):
        check(tmp_path / "shard_0001.h5", 5, GB, SPEC)


def test_what_other_jobs_have_begun_to_write_is_not_counted_twice(tmp_path: Path, free: SimpleNamespace) -> None:
    (tmp_path / ".shard_0001.0a1b2c3d.partial.h5").write_bytes(bytes(1000))
    free.free = 3000
    check(tmp_path / "shard_0000.h5", 2, 2000, SPEC)
    free.free -= 1
    with pytest.raises(UserError):
        check(tmp_path / "shard_0000.h5", 2, 2000, SPEC)


def test_compressed_shards_may_try(tmp_path: Path, free: SimpleNamespace) -> None:
    free.free = GB
    check(tmp_path / "shard_0000.h5", 10, GB, {**SPEC, "compression": "gzip"})


def test_extraction_asks_for_the_whole_sample_before_it_writes(tmp_path: Path, free: SimpleNamespace) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    save_random_tokens(tmp_path / "tokens.h5", 4, 128)
    output = tmp_path / "activations/shard_0000.h5"
    one = shard_bytes(opened(record), ["mlp_pre"], 512, "float32")
    free.free = 3 * one
    with pytest.raises(UserError, match="4 activation shards need"):
        extract(tmp_path / "tokens.h5", record, output, sites=["mlp_pre"], shards=4)
    assert not list(output.parent.iterdir())
    extract(tmp_path / "tokens.h5", record, output, sites=["mlp_pre"], shards=3)
    assert output.exists()


def test_summaries_ask_for_all_that_are_missing_before_anything_runs(
    tmp_path: Path, free: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the model runs, and of stored activations: both need the same."""
    record = save_tiny_model("gpt2", tmp_path / "model")
    save_random_tokens(tmp_path / "tokens.h5", 4, 128)
    tokens, output = str(tmp_path / "tokens.h5"), tmp_path / "summaries/shard_0000.h5"
    types = table_of_types(0, COMMON["vocab_size"])
    compute, spec = {"dtype": "float32", "batch_size": 2}, {"site": "mlp_pre", "token_types": 10}
    extract(tmp_path / "tokens.h5", record, tmp_path / "activations.h5", sites=["mlp_pre"])
    stored = [str(tmp_path / "activations.h5")], tokens, types, 3, spec, 1, output

    def run(shards: int) -> None:
        summarize_run(tokens, types, record, compute, spec, "cpu", 1, output, shards)

    run(1)
    one = output.stat().st_size
    output.unlink()
    free.free = 3 * one
    with monkeypatch.context() as patched:
        patched.setattr(ModelRun, "reduce", lambda *_: pytest.fail("the model ran"))
        with pytest.raises(UserError) as error:
            run(4)
    line = re.escape(f"{output.parent}: 4 summaries need ") + r"[\d.]+ MB, and [\d.]+ MB are free there; free some, "
    line += r"lower summaries\.token_types, or set a larger sampling\.sequences_per_shard \(fewer summaries\)"
    assert re.fullmatch(line, str(error.value))
    with pytest.raises(UserError, match="4 summaries need") as of_stored:
        summarize_stored(*stored, 4)
    assert str(of_stored.value) == str(error.value)
    assert not list(output.parent.iterdir())
    summarize_stored(*stored, 2)
    assert output.exists()
