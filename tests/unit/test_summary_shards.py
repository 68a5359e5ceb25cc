"""The summary shard as a file: what is in it, that it is whole or absent, and that damage is found."""

import shutil
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from open_files import few_open_files
from summary_files import read, refusal
from summary_loop import same_bits
from texts import activations, filled, text_of

from layerscope.io.errors import UserError
from layerscope.io.hdf5 import write_dataset
from layerscope.summarize import summary_shards
from layerscope.summarize.neuron_sums import NeuronSums
from layerscope.summarize.summary_shards import read_layer_summary, write_summary
from layerscope.summarize.token_sums import TokenSums


def test_files_round_trip(tmp_path: Path) -> None:
    """Bit for bit in float64; float32 sums of several batches are rounded once."""
    text = text_of(0, 20, 32)
    for dtype in (np.float64, np.float32):
        reducer = filled(text, activations(text, 6).astype(dtype), 4)
        tokens, layers = reducer.finish()
        path = tmp_path / f"{np.dtype(dtype)}.h5"
        write_summary(path, "mlp_pre", tokens, layers, {"covariates": "a b", "token_types": 3})
        for layer, neurons in layers.items():
            with h5py.File(path) as file:
                for field in fields(NeuronSums):
                    values, written = getattr(neurons, field.name), file[f"mlp_pre/layer_{layer:02d}/{field.name}"][:]
                    as_is = values.dtype.kind == "i" or field.name.endswith("_window")
                    kept = values if as_is else values.astype(dtype)
                    assert written.dtype == kept.dtype and written.tobytes() == kept.tobytes()
            found = read(path, layer)
            assert found.covariates == ["a", "b"] and found.attributes["token_types"] == 3
            assert same_bits(found.tokens, TokenSums.merge([tokens]))
            if dtype is np.float64:
                assert same_bits(found.neurons, NeuronSums.merge([tokens], [neurons], found.tokens))


def test_empty_extremes_round_trip(tmp_path: Path) -> None:
    """Of fewer tokens than are kept, the rest is ∞ and nowhere."""
    text = text_of(0, 20, 32)
    ids = np.where(np.arange(len(text.tokens)) < 3, 5, 0).astype(np.int32)
    text = replace(text, tokens=replace(text.tokens, input_ids=ids))
    write_summary(tmp_path / "summary.h5", "mlp_pre", *filled(text, activations(text, 2), 2).finish(), {})
    found = read(tmp_path / "summary.h5", 0).neurons
    assert (found.most_place[3:] == -1).all() and (found.most_value[3:] == -np.inf).all()
    assert (found.least_place[3:] == -1).all() and (found.least_value[3:] == np.inf).all()


def test_shard_of_left_out_tokens_alone_round_trips(tmp_path: Path) -> None:
    text = text_of(0, 4, 16)
    empty = replace(text, tokens=replace(text.tokens, input_ids=np.zeros(64, np.int32)))
    values = activations(text, 3).astype(np.float32)
    write_summary(tmp_path / "empty.h5", "mlp_pre", *filled(empty, values, 2).finish(), {})
    write_summary(tmp_path / "full.h5", "mlp_pre", *filled(text, values, 2).finish(), {})
    found, alone = (
        read_layer_summary([str(tmp_path / f"{name}.h5") for name in names], 1)
        for names in (("full", "empty"), ("full",))
    )
    assert same_bits(found.tokens, alone.tokens) and same_bits(found.neurons, alone.neurons)
    assert read(tmp_path / "empty.h5", 1).tokens.tokens == 0


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A summary of one layer of three neurons."""
    text, path = text_of(0, 4, 16), tmp_path_factory.mktemp("small") / "summary.h5"
    reducer = filled(text, activations(text, 3).astype(np.float32), 2, layers=1)
    write_summary(path, "mlp_pre", *reducer.finish(), {"covariates": "a b", "token_types": 3, "model": "tiny"})
    return path


@pytest.mark.parametrize("kind", [TokenSums, NeuronSums])
def test_flipped_byte_in_any_dataset_is_found(small: Path, tmp_path: Path, kind: type) -> None:
    """At the start, in the middle and at the end of its first chunk."""
    group = "tokens" if kind is TokenSums else "mlp_pre/layer_00"
    for field in fields(kind):
        with h5py.File(small) as file:
            chunk = file[f"{group}/{field.name}"].id.get_chunk_info(0)
        for place in (0, chunk.size // 2, chunk.size - 5):
            path = tmp_path / "damaged.h5"
            shutil.copy(small, path)
            flip(path, chunk.byte_offset + place)
            line = refusal(lambda path=path: read(path, 0))
            assert line.startswith(f"{path}: {group} is damaged") and f"delete it and run again (rm {path})" in line


def test_value_that_was_changed_by_hdf5_itself_is_found(small: Path, tmp_path: Path) -> None:
    """Its fletcher32 is right; only the digest tells."""
    for kind, group in ((TokenSums, "tokens"), (NeuronSums, "mlp_pre/layer_00")):
        for field in fields(kind):
            path = tmp_path / "damaged.h5"
            shutil.copy(small, path)
            with h5py.File(path, "r+") as file:
                dataset = file[f"{group}/{field.name}"]
                values = dataset[:]
                values.flat[-1] += 1
                dataset[:] = values
            line = refusal(lambda path=path: read(path, 0))
            assert line.startswith(f"{path}: /{group}/{field.name} differs from what was written")


def test_byte_flipped_anywhere_is_found_or_changes_nothing(small: Path, tmp_path: Path) -> None:
    expected, path = read(small, 0), tmp_path / "damaged.h5"
    found = 0
    for offset in np.random.default_rng(0).integers(0, small.stat().st_size, 150):
        shutil.copy(small, path)
        flip(path, offset)
        try:
            summary = read(path, 0)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            found += 1
        else:
            assert same_bits(summary.tokens, expected.tokens) and same_bits(summary.neurons, expected.neurons)
            assert summary.attributes == expected.attributes
    assert found > 75


def test_file_cut_short_or_of_another_format_is_refused(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "summary.h5"
    path.write_bytes(small.read_bytes()[:-500])
    assert refusal(lambda: read(path, 0)).startswith(f"{path}: damaged (OSError: ")
    shutil.copy(small, path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "layerscope summary 0"
    assert "format 'layerscope summary 0' is not 'layerscope summary 2'" in refusal(lambda: read(path, 0))
    with h5py.File(shutil.copy(small, path), "r+") as file:
        file.attrs["token_types"] = 4
    assert "its attributes differ from those that were written" in refusal(lambda: read(path, 0))
    assert "mlp_pre/layer_07" in refusal(lambda: read(small, 7))


@pytest.mark.parametrize("foreign", range(3))
@pytest.mark.parametrize("name", ["model_commit", "corpus_content", "token_types", "covariates", "dtype"])
def test_shards_of_two_runs_are_refused(tmp_path: Path, name: str, foreign: int) -> None:
    text = text_of(0, 4, 16)
    sums = filled(text, activations(text, 3), 2).finish()
    paths = [str(tmp_path / f"shard_{number}.h5") for number in range(3)]
    for number, path in enumerate(paths):
        value = "other" if number == foreign else "one"
        write_summary(path, "mlp_pre", *sums, {"model": "tiny", "covariates": "a", "shard": number, name: value})
    line = refusal(lambda: read_layer_summary(paths, 0))
    own = next(path for number, path in enumerate(paths) if number != foreign)
    assert line.startswith(f"{paths[foreign]}: its {name} is other, that of {own} is one; they are from different runs")
    read_layer_summary([path for path in paths if path != paths[foreign]], 0)


def test_more_shards_are_merged_than_files_may_be_open(tmp_path: Path) -> None:
    text = text_of(0, 4, 16)
    sums = filled(text, activations(text, 3), 2).finish()
    paths = [str(tmp_path / f"shard_{number}.h5") for number in range(12)]
    for number, path in enumerate(paths):
        write_summary(path, "mlp_pre", *sums, {"covariates": "a", "shard": number})
    expected = read_layer_summary(paths, 1)
    with few_open_files(4):
        found = read_layer_summary(paths, 1)
    assert same_bits(found.tokens, expected.tokens) and same_bits(found.neurons, expected.neurons)


def test_interrupted_summary_leaves_nothing_with_its_name(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of its datasets; an earlier file stays as it was."""
    text, path = text_of(1, 4, 16), tmp_path / "summary.h5"
    sums = filled(text, activations(text, 3), 2).finish()
    written = []

    def interrupted(group: h5py.Group, name: str, values: np.ndarray) -> None:
        written.append(name)
        if name == "class_sums":
            raise KeyboardInterrupt
        write_dataset(group, name, values)

    monkeypatch.setattr(summary_shards, "write_dataset", interrupted)
    for earlier in (None, small.read_bytes()):
        if earlier is not None:
            path.write_bytes(earlier)
        with pytest.raises(KeyboardInterrupt):
            write_summary(path, "mlp_pre", *sums, {})
        assert "cluster_sums" in written
        assert [file.name for file in tmp_path.iterdir()] == ([] if earlier is None else ["summary.h5"])
    assert path.read_bytes() == small.read_bytes()
