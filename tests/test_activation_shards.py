"""The activation shard as a file: what is in it, that it is whole or absent, and that damage is found."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash

from layerscope.errors import UserError
from layerscope.extract.activation_shards import LayerReader, verify_structure
from layerscope.extract.writer import ActivationShardWriter
from layerscope.tokenize.token_shards import Tokens

ROWS, WIDTH = 1500, 300  # more than a chunk either way


def tokens_of(rows: int, first: int = 0) -> Tokens:
    numbers = np.arange(first, first + rows, dtype=np.int32)
    return Tokens(numbers, numbers // 100, numbers % 100, numbers // 70)


def write_shard(path: Path, seed: int = 0, storage_dtype: str = "float32", compression: str = "none") -> tuple:
    """Write two layers of ``mlp_pre`` in batches of 400 rows; the manifest and the values by dataset."""
    random = np.random.default_rng(seed)
    written = {f"mlp_pre/layer_0{layer}": random.normal(size=(ROWS, WIDTH)).astype(np.float32) for layer in range(2)}
    tokens = tokens_of(ROWS, seed * ROWS)
    with ActivationShardWriter(path, tokens, {"model": "tiny"}, storage_dtype, compression) as shard:
        for start in range(0, ROWS, 400):
            for layer, values in enumerate(written.values()):
                batch = values[start : start + 400]
                shard.append("mlp_pre", layer, np.resize(batch, (400, WIDTH)))  # the last is filled up
        manifest = shard.finish()
    return manifest, written


def flip_byte(path: Path, dataset: str) -> None:
    """Change one byte in the middle of the first chunk of a dataset."""
    with h5py.File(path) as file:
        chunk = file[dataset].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("compression", ["none", "lzf", "gzip"])
@pytest.mark.parametrize("storage_dtype", ["float32", "float16"])
def test_plain_h5py_reads_what_was_written(tmp_path: Path, storage_dtype: str, compression: str) -> None:
    _, written = write_shard(tmp_path / "shard.h5", storage_dtype=storage_dtype, compression=compression)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file.attrs["storage_dtype"] == storage_dtype
        assert np.array_equal(file["tokens/input_ids"], np.arange(ROWS))
        for name, values in written.items():
            dataset = file[name]
            assert dataset.dtype == storage_dtype
            assert dataset.fletcher32 and dataset.chunks == (512, 256)
            assert dataset.compression == (None if compression == "none" else compression)
            assert np.array_equal(dataset[:], values.astype(storage_dtype))


@pytest.mark.parametrize("storage_dtype", ["float32", "float16"])
def test_manifest_equals_the_file(tmp_path: Path, storage_dtype: str) -> None:
    """The range is that of the stored values: histograms take their edges from it."""
    manifest, written = write_shard(tmp_path / "shard.h5", storage_dtype=storage_dtype)
    assert json.loads(json.dumps(manifest)) == manifest
    assert (manifest["tokens"], manifest["dtype"]) == (ROWS, storage_dtype)
    assert set(manifest["datasets"]) == set(written)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert manifest["format"] == file.attrs["format"]
        for name, entry in manifest["datasets"].items():
            stored = file[name][:]
            assert entry == {"shape": [ROWS, WIDTH], **file[name].attrs}
            assert entry["digest"] == xxhash.xxh3_128_hexdigest(stored.tobytes())
            assert (entry["minimum"], entry["maximum"]) == (float(stored.min()), float(stored.max()))


def test_file_that_is_not_that_of_its_manifest_is_refused(tmp_path: Path) -> None:
    manifest, _ = write_shard(tmp_path / "shard.h5")
    write_shard(tmp_path / "other.h5", seed=1)
    verify_structure(tmp_path / "shard.h5", manifest)
    with pytest.raises(UserError, match=r"other\.h5: mlp_pre/layer_00 is not what was written"):
        verify_structure(tmp_path / "other.h5", manifest)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_flipped_byte_is_found_on_reading(tmp_path: Path, compression: str) -> None:
    whole, damaged = tmp_path / "whole.h5", tmp_path / "damaged.h5"
    write_shard(whole)
    write_shard(damaged, compression=compression)
    flip_byte(damaged, "mlp_pre/layer_01")
    with LayerReader([str(whole), str(damaged)], "mlp_pre", 1) as reader:
        with pytest.raises(UserError, match=r"damaged\.h5: mlp_pre/layer_01 is damaged .*; delete the file") as error:
            reader.columns(0, 10)
        assert "\n" not in str(error.value) and "whole.h5" not in str(error.value)
    with LayerReader([str(damaged)], "mlp_pre", 0) as reader:
        reader.columns(0, 10)  # the other layer is unharmed


def test_flipped_byte_in_the_tokens_is_found_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    flip_byte(path, "tokens/document")
    with (
        LayerReader([str(path)], "mlp_pre", 0) as reader,
        pytest.raises(UserError, match=r"shard\.h5: tokens are damaged"),
    ):
        reader.tokens()


def test_file_cut_short_is_found_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"shard\.h5: cannot be read"):
        LayerReader([str(path)], "mlp_pre", 0).__enter__()


@pytest.mark.parametrize("storage_dtype", ["float32", "float16"])
def test_columns_over_shards_are_those_of_the_joined_arrays(tmp_path: Path, storage_dtype: str) -> None:
    paths = [tmp_path / f"shard_{i}.h5" for i in range(3)]
    written = [write_shard(path, seed, storage_dtype)[1] for seed, path in enumerate(paths)]
    joined = np.concatenate([values["mlp_pre/layer_01"] for values in written]).astype(storage_dtype)
    with LayerReader([str(path) for path in paths], "mlp_pre", 1) as reader:
        assert reader.width == WIDTH
        assert np.array_equal(reader.tokens().input_ids, np.arange(3 * ROWS))
        for start, stop in ((0, WIDTH), (250, 260), (299, 300)):
            columns = reader.columns(start, stop)
            assert columns.dtype == np.float32
            assert np.array_equal(columns, joined[:, start:stop].T)


WRITE_IN_PART = """
import sys, numpy as np
from layerscope.extract.writer import ActivationShardWriter
from layerscope.tokenize.token_shards import Tokens

rows = np.zeros(4096, np.int32)
with ActivationShardWriter(sys.argv[1], Tokens(rows, rows, rows, rows), {}, "float32", "none") as shard:
    exec(sys.argv[2])
    for _ in range(4):
        shard.append("q", 0, np.random.default_rng(0).normal(size=(1024, 256)).astype(np.float32))
        print("written", flush=True)
        sys.stdin.readline()
    shard.finish()
"""


def start_writing(path: Path, prepare: str = "") -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", WRITE_IN_PART, str(path), prepare], text=True, **pipes)


def test_killed_process_leaves_no_file_of_the_final_name(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    with start_writing(path) as process:
        assert process.stdout.readline() == "written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) and not path.exists()  # it did write, under another name
    write_shard(path)  # what it left is in nobody's way
    assert path.exists()


def test_file_that_lacks_rows_is_not_kept_and_an_earlier_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    path.write_text("earlier")
    with (
        pytest.raises(UserError, match="q/layer_00 has 2 of 4 rows"),
        ActivationShardWriter(path, tokens_of(4), {}, "float32", "none") as shard,
    ):
        shard.append("q", 0, np.ones((2, 3), np.float32))
        shard.finish()
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "earlier"


def test_full_disk_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    """Closing a file that could not be written fails too: neither that file nor that second error may remain."""
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    with start_writing(tmp_path / "shard.h5", full) as process:
        _, errors = process.communicate("\n" * 4)
    assert process.returncode == 1
    assert "File too large" in errors.strip().splitlines()[-1] and "write" in errors.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_site_that_was_not_extracted_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    with pytest.raises(UserError, match=r"shard\.h5: holds no resid_pre/layer_00; .* add the site to Specs\.sites"):
        LayerReader([str(path)], "resid_pre", 0).__enter__()
