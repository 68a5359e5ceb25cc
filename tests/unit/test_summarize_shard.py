"""Summaries of models that run equal those of their stored activations, each sequence once and in its place."""

import re
import shutil
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from summary_files import read, refusal
from summary_loop import UNIT, Loop, same_bits
from texts import Text, activations, reduced, table_of_types, text_of
from tiny_models import COMMON, LAYERS, change_weights, extract, save_random_tokens, save_tiny_model

from layerscope.extract.activation_shards import ActivationShard
from layerscope.extract.store_activations import extract_shard
from layerscope.io.errors import UserError
from layerscope.io.hdf5 import attributes_of
from layerscope.io.provenance import sample_attributes
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summarize_shard import summarize_run, summarize_stored
from layerscope.summarize.summary_shards import read_layer_summary
from layerscope.summarize.token_sums import TokenSums
from layerscope.tokenize.token_shards import read_token_shard

SEQUENCES, LENGTH, BATCH = 7, 24, 2
SPEC = {"site": "mlp_pre", "token_types": 40}
MODELS = ["gpt_neo", "gpt2", "gpt_neox", "llama"]


@pytest.fixture(scope="module")
def types() -> pd.DataFrame:
    return table_of_types(0, COMMON["vocab_size"])


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens.h5"
    save_random_tokens(path, SEQUENCES, LENGTH)
    return path


@pytest.fixture(scope="module", params=MODELS)
def record(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return save_tiny_model(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return save_tiny_model("gpt2", tmp_path_factory.mktemp("gpt2"))


def run(shard: Path, types: pd.DataFrame, record: dict, output: Path, batch: int = BATCH, **spec: object) -> Path:
    compute = {"dtype": "float32", "batch_size": batch}
    summarize_run(str(shard), types, record, compute, SPEC | spec, "cpu", 1, output)
    return output


def stored(shard: Path, types: pd.DataFrame, activation_shards: list[Path], layers: int, output: Path) -> Path:
    summarize_stored([str(path) for path in activation_shards], str(shard), types, layers, SPEC, 1, output)
    return output


def content_of(path: Path) -> dict[str, np.ndarray]:
    """All datasets of a file."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, thing: found.update({name: thing[:]}) if isinstance(thing, h5py.Dataset) else None)
    return found


def text_of_shard(shard: Path, types: pd.DataFrame) -> Text:
    return Text(types, read_token_shard(shard)[0], LENGTH)


def test_summary_of_a_run_is_that_of_its_stored_activations(
    record: dict, shard: Path, types: pd.DataFrame, tmp_path: Path
) -> None:
    """Bit for bit. Both equal sums in float64 of the stored activations, within the rounding of float32."""
    layers = LAYERS[record["model_type"]]
    extract(shard, record, tmp_path / "activations.h5", sites=["mlp_pre"], batch_size=BATCH)
    one = run(shard, types, record, tmp_path / "run.h5")
    other = stored(shard, types, [tmp_path / "activations.h5"], layers, tmp_path / "stored.h5")
    found, expected = content_of(one), content_of(other)
    names = {field.name for field in fields(NeuronSums)}
    assert set(found) == {f"tokens/{field.name}" for field in fields(TokenSums)} | {
        f"mlp_pre/layer_{layer:02d}/{name}" for layer in range(layers) for name in names
    }
    assert found.keys() == expected.keys()
    for name in found:
        assert found[name].dtype == expected[name].dtype and found[name].tobytes() == expected[name].tobytes(), name
    text = text_of_shard(shard, types)
    with ActivationShard(tmp_path / "activations.h5") as activations:
        for layer in range(layers):
            values = activations.values(f"mlp_pre/layer_{layer:02d}")
            summary = read(one, layer)
            loop = Loop(text, values, summary.neurons.pilot, SPEC["token_types"])
            # 50 tokens of a document are multiplied at once; and a class has fewer than 64. Of files in float32.
            loop.check(summary.tokens, summary.neurons, 72 * UNIT)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_summary_of_a_run_in_lower_precision(
    gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path, dtype: str
) -> None:
    """Its activations are exact in float32, in which they are stored and summed."""
    extract(shard, gpt2, tmp_path / "activations.h5", sites=["mlp_pre"], batch_size=BATCH, dtype=dtype)
    compute = {"dtype": dtype, "batch_size": BATCH}
    summarize_run(str(shard), types, gpt2, compute, SPEC, "cpu", 1, tmp_path / "run.h5")
    other = stored(shard, types, [tmp_path / "activations.h5"], LAYERS["gpt2"], tmp_path / "stored.h5")
    found = content_of(tmp_path / "run.h5")
    assert all(found[name].tobytes() == values.tobytes() for name, values in content_of(other).items())


def test_summary_of_stored_activations_takes_the_threads_that_it_is_given(
    gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path
) -> None:
    extract(shard, gpt2, tmp_path / "activations.h5", sites=["mlp_pre"], batch_size=BATCH)
    before, stored_in = torch.get_num_threads(), [str(tmp_path / "activations.h5")]
    try:
        for threads in (2, 1):
            summarize_stored(stored_in, str(shard), types, LAYERS["gpt2"], SPEC, threads, tmp_path / "summary.h5")
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_threads_and_places_in_memory_move_no_bit() -> None:
    """A run says how many threads it takes; the job that reads stored activations takes one."""
    text, width = text_of(0, 2, 256, longest=300), 2048
    values = activations(text, width).astype(np.float32)
    shifted = np.empty(values.size + 1, np.float32)[1:].reshape(values.shape)
    shifted[:] = values
    threads, found = torch.get_num_threads(), []
    try:
        for count, of in ((1, values), (2, values), (1, shifted)):
            torch.set_num_threads(count)
            found.append(reduced(text, of)[1])
    finally:
        torch.set_num_threads(threads)
    assert same_bits(found[0], found[1]) and same_bits(found[0], found[2])


@pytest.fixture
def parts(gpt2: dict, tmp_path: Path) -> list[Path]:
    """Shards of two sequences each of a token shard of six, ``six.h5``."""
    save_random_tokens(tmp_path / "six.h5", 6, LENGTH)
    spec = {"dtype": "float32", "batch_size": BATCH, "storage_dtype": "float32", "compression": "none"}
    paths = [tmp_path / f"shard_{number}.h5" for number in range(3)]
    for number, path in enumerate(paths):
        extract_shard(str(tmp_path / "six.h5"), gpt2, {**spec, "sites": ["mlp_pre"]}, "cpu", 1, path, part=(number, 2))
    return paths


def test_stored_sample_in_several_shards(parts: list[Path], types: pd.DataFrame, gpt2: dict, tmp_path: Path) -> None:
    """Its batches are those of the run where they end with its shards."""
    expected = content_of(run(tmp_path / "six.h5", types, gpt2, tmp_path / "run.h5"))
    found = content_of(stored(tmp_path / "six.h5", types, parts, LAYERS["gpt2"], tmp_path / "stored.h5"))
    assert all(found[name].tobytes() == values.tobytes() for name, values in expected.items())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0, 1), "six.h5: the activations of only 4 of its sequences are given"),
        ((0, 2, 1), "shard_2.h5: its tokens are not those of its place in "),
        ((0, 0, 2), "shard_0.h5: its tokens are not those of its place in "),
        ((0, 1, 2, 2), "shard_2.h5: its tokens are not those of its place in "),
    ],
)
def test_every_sequence_is_summarised_once(
    parts: list[Path], types: pd.DataFrame, tmp_path: Path, given: tuple[int, ...], said: str
) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        stored(tmp_path / "six.h5", types, [parts[i] for i in given], LAYERS["gpt2"], tmp_path / "stored.h5")
    assert not list(tmp_path.glob("*stored*")) and not list(tmp_path.glob(".*partial*"))


@pytest.mark.parametrize("batch", [1, 3, SEQUENCES])
def test_batch_size_moves_sums_by_rounding_alone(
    gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path, batch: int
) -> None:
    extract(shard, gpt2, tmp_path / "activations.h5", sites=["mlp_pre"], batch_size=batch)
    summary = read(run(shard, types, gpt2, tmp_path / "run.h5", batch), 2)
    with ActivationShard(tmp_path / "activations.h5") as activations:
        values = activations.values("mlp_pre/layer_02")
    loop = Loop(text_of_shard(shard, types), values, summary.neurons.pilot, SPEC["token_types"])
    loop.check(summary.tokens, summary.neurons, 72 * UNIT)


def test_file_says_what_it_is(gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path) -> None:
    path = run(shard, types, gpt2, tmp_path / "summary.h5")
    extract(shard, gpt2, tmp_path / "activations.h5", sites=["mlp_pre"], batch_size=BATCH)
    with h5py.File(path) as file, h5py.File(tmp_path / "activations.h5") as activations:
        found, expected = attributes_of(file), attributes_of(activations)
        assert file["mlp_pre/layer_00/cluster_sums"].dtype == np.float32
        assert file["mlp_pre/layer_00/cluster_sums"].fletcher32
    assert found["format"] == "layerscope summary 2" and found["token_types"] == 40 and found["site"] == "mlp_pre"
    assert found["covariates"].split()[0] == "one" and found["covariates"].split()[-1] == "position"
    assert found["token_shard_digest"] == read_token_shard(shard)[1]["digest"]
    for name in ("model", "model_commit", "model_content", "corpus", "tokenizer", "dtype", "batch_size", "sequences"):
        assert found[name] == expected[name], name
    other = stored(shard, types, [tmp_path / "activations.h5"], LAYERS["gpt2"], tmp_path / "stored.h5")
    with h5py.File(other) as file:
        assert attributes_of(file) == found


def test_table_and_summaries_of_other_tokens_are_refused(
    gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path
) -> None:
    path = run(shard, types, gpt2, tmp_path / "summary.h5")
    vocabulary = types.copy()
    _, attributes = read_token_shard(shard)
    vocabulary.attrs = {**sample_attributes({str(shard): attributes}), "path": "vocabulary.parquet"}
    read_layer_summary([str(path)], 0, [vocabulary])
    save_random_tokens(tmp_path / "other.h5", SEQUENCES, LENGTH, seed=1)
    other = run(tmp_path / "other.h5", types, gpt2, tmp_path / "other_summary.h5")
    assert "its token_shard_digest is" in refusal(lambda: read_layer_summary([str(other)], 0, [vocabulary]))
    again = str(shutil.copy(path, tmp_path / "again.h5"))
    line = refusal(lambda: read_layer_summary([str(path), again], 0, [vocabulary]))
    assert "vocabulary.parquet: it is made of 1 token shards, and the sample has 2" in line


def test_activations_of_other_tokens_are_refused(gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path) -> None:
    save_random_tokens(tmp_path / "other.h5", SEQUENCES, LENGTH, seed=1)
    extract(tmp_path / "other.h5", gpt2, tmp_path / "activations.h5", sites=["mlp_pre"])
    line = refusal(lambda: stored(shard, types, [tmp_path / "activations.h5"], 3, tmp_path / "summary.h5"))
    assert line.startswith(f"{tmp_path / 'activations.h5'}: its tokens are not those of its place in {shard}")
    assert not (tmp_path / "summary.h5").exists()


def test_damaged_activations_leave_no_summary(gpt2: dict, shard: Path, types: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "activations.h5"
    extract(shard, gpt2, path, sites=["mlp_pre"])
    with h5py.File(path, "r+") as file:
        file["mlp_pre/layer_02"][3, 4] += 1
    line = refusal(lambda: stored(shard, types, [path], LAYERS["gpt2"], tmp_path / "summary.h5"))
    assert line.startswith(f"{path}: mlp_pre/layer_02 differs from what was written")
    assert not list(tmp_path.glob("*summary*"))


def test_weight_that_is_not_finite_is_named_and_leaves_nothing(
    shard: Path, types: pd.DataFrame, tmp_path: Path
) -> None:
    record = save_tiny_model("gpt2", tmp_path / "model")
    change_weights(record, lambda weights: weights["transformer.h.1.mlp.c_fc.bias"].fill_(float("inf")))
    line = refusal(lambda: run(shard, types, record, tmp_path / "summary.h5"))
    assert line.startswith("models.gpt2: mlp_pre of layer 1 holds NaN or Inf")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
