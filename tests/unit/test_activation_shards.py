"""The activation shard as a file: what is in it, that it is whole or absent, and that damage is found."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from open_files import few_open_files

from layerscope.extract import activation_shards, writer
from layerscope.extract.activation_shards import ActivationShard, LayerReader, verify_structure
from layerscope.extract.writer import ActivationShardWriter
from layerscope.io.errors import UserError
from layerscope.io.files import read_json, write_json
from layerscope.io.hdf5 import attributes_of
from layerscope.tokenize.token_shards import Tokens

ROWS, WIDTH = 1500, 300  # more than a chunk either way


def tokens_of(rows: int, first: int = 0) -> Tokens:
    numbers = np.arange(first, first + rows, dtype=np.int32)
    return Tokens(numbers, numbers // 100, numbers % 100, numbers // 70)


def write_shard(
    path: Path,
    seed: int = 0,
    storage_dtype: str = "float32",
    compression: str = "none",
    attributes: dict | None = None,
) -> tuple:
    """Write two layers of ``mlp_pre`` in batches of 400 rows; the manifest and the values by dataset."""
    random = np.random.default_rng(seed)
    written = {f"mlp_pre/layer_0{layer}": random.normal(size=(ROWS, WIDTH)).astype(np.float32) for layer in range(2)}
    tokens = tokens_of(ROWS, seed * ROWS)
    with ActivationShardWriter(path, tokens, attributes or {"model": "tiny"}, storage_dtype, compression) as shard:
        for start in range(0, ROWS, 400):
            for layer, values in enumerate(written.values()):
                shard.append("mlp_pre", layer, values[start : start + 400])
        manifest = shard.finish()
    return manifest, written


def flip_byte(path: Path, dataset: str, chunk: int = 0) -> None:
    """Change one byte in the middle of a chunk of a dataset."""
    with h5py.File(path) as file:
        chunks = file[dataset].id
        chunk = chunks.get_chunk_info(chunk % chunks.get_num_chunks())
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("compression", ["none", "lzf", "gzip"])
@pytest.mark.parametrize("storage_dtype", ["float32", "float16"])
def test_plain_h5py_reads_what_was_written(tmp_path: Path, storage_dtype: str, compression: str) -> None:
    _, written = write_shard(tmp_path / "shard.h5", storage_dtype=storage_dtype, compression=compression)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file.attrs["storage_dtype"].decode() == storage_dtype
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
    assert read_json(tmp_path / "shard.json") == manifest
    assert manifest["tokens_digest"] == tokens_of(ROWS).digest()
    assert (manifest["tokens"], manifest["dtype"]) == (ROWS, storage_dtype)
    assert set(manifest["datasets"]) == set(written)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert manifest["format"] == attributes_of(file)["format"]
        for name, entry in manifest["datasets"].items():
            stored = file[name][:]
            assert entry == {"shape": [ROWS, WIDTH], **attributes_of(file[name])}
            assert entry["digest"] == xxhash.xxh3_128_hexdigest(stored.tobytes())
            assert (entry["minimum"], entry["maximum"]) == (float(stored.min()), float(stored.max()))


def test_file_that_is_not_that_of_its_manifest_is_refused(tmp_path: Path) -> None:
    manifest, _ = write_shard(tmp_path / "shard.h5")
    write_shard(tmp_path / "other.h5", seed=1)
    verify_structure(tmp_path / "shard.h5", manifest)
    with pytest.raises(UserError, match=r"other\.h5: mlp_pre/layer_00 is not what was written"):
        verify_structure(tmp_path / "other.h5", manifest)


def refusal(run: Callable[[], object]) -> str:
    """The one line of a run's UserError, which gives the command that repairs the file it names."""
    with pytest.raises(UserError) as error:
        run()
    line = str(error.value)
    assert "\n" not in line and f"delete it and run again (rm {line.split(': ')[0]})" in line
    return line


def blocks_of(reader: LayerReader) -> list[tuple[int, np.ndarray]]:
    return list(reader.blocks(np.ones(sum(reader.lengths), dtype=bool)))


def read_layer(*paths: Path, layer: int = 1) -> None:
    with LayerReader([str(path) for path in paths], "mlp_pre", layer) as reader:
        blocks_of(reader)


def read_rows(*paths: Path) -> None:
    """Of a few tokens alone."""
    with LayerReader([str(path) for path in paths], "mlp_pre", 1) as reader:
        for _ in reader.rows([(100, 200), (700, 720)]):
            pass


@pytest.fixture(params=[128 << 20, 1], ids=["in one pass", "in two"])
def held_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that fits into what is held at once, and one that does not."""
    monkeypatch.setattr(activation_shards, "HELD_BYTES", request.param)
    monkeypatch.setattr(activation_shards, "BLOCK_BYTES", 8 * 3 * ROWS * 70)  # 70 neurons of three shards


@pytest.mark.usefixtures("held_bytes")
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_flipped_byte_is_found_on_reading(tmp_path: Path, compression: str) -> None:
    whole, damaged = tmp_path / "whole.h5", tmp_path / "damaged.h5"
    write_shard(whole)
    write_shard(damaged, compression=compression)
    flip_byte(damaged, "mlp_pre/layer_01")
    for read in (read_layer, read_rows):
        line = refusal(lambda read=read: read(whole, damaged))
        assert line.startswith(f"{damaged}: mlp_pre/layer_01 is damaged") and "whole.h5" not in line
    read_layer(damaged, layer=0)  # the other layer is unharmed


def test_byte_that_flips_after_the_digest_is_found_on_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_shards, "HELD_BYTES", 1)
    monkeypatch.setattr(activation_shards, "BLOCK_BYTES", 8 * 4096 * 256)
    path = tmp_path / "shard.h5"
    with ActivationShardWriter(path, tokens_of(4096), {}, "float32", "none") as shard:
        shard.append("mlp_pre", 1, np.ones((4096, 1024), np.float32))  # more than HDF5 keeps in memory
        shard.finish()
    with LayerReader([str(path)], "mlp_pre", 1) as reader:
        blocks = reader.blocks(np.ones(4096, dtype=bool))
        assert next(blocks)[0] == 0
        flip_byte(path, "mlp_pre/layer_01", chunk=-1)
        assert "mlp_pre/layer_01 is damaged" in refusal(lambda: list(blocks))


@pytest.mark.usefixtures("held_bytes")
@pytest.mark.parametrize("token", [150, 1234, ROWS - 1])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_value_that_was_changed_by_hdf5_itself_is_found_on_reading(
    tmp_path: Path, compression: str, token: int
) -> None:
    """Its fletcher32 is right; only the manifest tells. Of a token that nobody asks for, too."""
    whole, path = tmp_path / "whole.h5", tmp_path / "shard.h5"
    write_shard(whole, seed=1)
    write_shard(path, compression=compression)
    with h5py.File(path, "r+") as file:
        file["mlp_pre/layer_01"][token, 5] += 1e-3
    keep = np.arange(2 * ROWS) % 10 == 1  # none of the tokens that are changed
    with LayerReader([str(path), str(whole)], "mlp_pre", 1) as reader:
        blocks = reader.blocks(keep)
        line = refusal(lambda: next(blocks))  # before anything can be computed
    assert line.startswith(f"{path}: mlp_pre/layer_01 differs from what was written")
    for paths in ((path, whole), (whole, path)):
        line = refusal(lambda paths=paths: read_rows(*paths))
        assert line.startswith(f"{path}: mlp_pre/layer_01 differs from what was written")
    with ActivationShard(path) as shard:
        refusal(lambda: shard.values("mlp_pre/layer_01"))
    read_layer(path, layer=0)


def test_flipped_byte_in_the_tokens_is_found_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    flip_byte(path, "tokens/document")
    with LayerReader([str(path)], "mlp_pre", 0) as reader:
        assert refusal(reader.tokens).startswith(f"{path}: /tokens is damaged")


def test_token_that_was_changed_by_hdf5_itself_is_found_on_reading(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    with h5py.File(path, "r+") as file:
        file["tokens/document"][7] += 1
    with LayerReader([str(path)], "mlp_pre", 0) as reader:
        assert refusal(reader.tokens).startswith(f"{path}: /tokens differs from what was written")


def test_file_cut_short_is_found_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    path.write_bytes(path.read_bytes()[:-1000])
    assert refusal(lambda: read_layer(path)).startswith(f"{path}: damaged (OSError: ")


def in_place(results: Path, model: str, shard: int, seed: int = 0) -> Path:
    path = results / f"activations/{model}/web/shard_{shard:04d}.h5"
    write_shard(path, seed, attributes={"model": model, "corpus": "web", "shard": shard})
    return path


@pytest.mark.parametrize("seed", [0, 1])
def test_shard_of_another_run_under_the_right_name_is_refused(tmp_path: Path, seed: int) -> None:
    """Alone or with its manifest; seed 0 gives both the same values."""
    path = in_place(tmp_path, "tiny", 0)
    others = {"tiny": in_place(tmp_path / "other", "tiny", 3, seed), "large": in_place(tmp_path, "large", 0, seed)}
    read_layer(path)
    for other in others.values():
        named = f"{path}: holds what belongs in {Path(*other.parts[-4:])}"
        shutil.copy(other, path)
        assert refusal(lambda: read_layer(path)).startswith(named)
        shutil.copy(other.with_suffix(".json"), path.with_suffix(".json"))
        assert refusal(lambda named=named: read_layer(path)).startswith(named)
    in_place(tmp_path, "tiny", 0)
    shutil.copy(in_place(tmp_path / "earlier", "tiny", 0, seed=1), path)
    assert refusal(lambda: read_layer(path)).startswith(f"{path}: mlp_pre/layer_01 differs from what was written")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "damaged (FileNotFoundError: "),
        ("{", "damaged (JSONDecodeError: "),
        ("[]", "damaged (TypeError: "),
        ('{"format": "layerscope activations 4"}', "differs from what was written; delete it"),
        ({}, "damaged (KeyError: "),
        ({"format": "layerscope activations 1"}, "format 'layerscope activations 1' is not"),
    ],
)
def test_manifest_that_is_not_there_or_damaged_is_named(tmp_path: Path, content: str | dict | None, said: str) -> None:
    write_shard(tmp_path / "shard.h5")
    manifest = tmp_path / "shard.json"
    match content:
        case None:
            manifest.unlink()
        case str():
            manifest.write_text(content)
        case dict():
            write_json(manifest, content)
    assert refusal(lambda: read_layer(tmp_path / "shard.h5")).startswith(f"{manifest}: {said}")


def test_shard_of_an_earlier_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    write_shard(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "layerscope activations 1"
    assert "format 'layerscope activations 1' is not 'layerscope activations 4'" in refusal(lambda: read_layer(path))


@pytest.mark.parametrize("name", ["model_commit", "tokenizer_commit", "corpus_commit"])
@pytest.mark.parametrize("foreign", range(3))
def test_shard_of_another_commit_is_refused(tmp_path: Path, name: str, foreign: int) -> None:
    """With its manifest it is whole by itself; only the others of the sample tell."""
    paths = [str(tmp_path / f"shard_{i}.h5") for i in range(3)]
    for number, path in enumerate(paths):
        write_shard(Path(path), attributes={"model": "tiny", name: "decade" if number == foreign else "c0ffee"})
    own = [path for number, path in enumerate(paths) if number != foreign]
    with LayerReader(own, "mlp_pre", 1):
        pass
    with pytest.raises(UserError) as error, LayerReader(paths, "mlp_pre", 1):
        pass
    said = (
        f"{paths[foreign]}: its {name} is decade, that of {own[0]} is c0ffee; they are from different runs: delete "
        f"those that do not match your settings and sources, or all of them, and run again (rm -r {tmp_path})"
    )
    assert str(error.value).startswith(said)


@pytest.mark.usefixtures("held_bytes")
@pytest.mark.parametrize("storage_dtype", ["float32", "float16"])
def test_blocks_and_rows_over_shards_are_those_of_the_joined_arrays(tmp_path: Path, storage_dtype: str) -> None:
    paths = [tmp_path / f"shard_{i}.h5" for i in range(3)]
    written = [write_shard(path, seed, storage_dtype)[1] for seed, path in enumerate(paths)]
    joined = np.concatenate([values["mlp_pre/layer_01"] for values in written]).astype(storage_dtype)
    with LayerReader([str(path) for path in paths], "mlp_pre", 1) as reader:
        assert reader.width == WIDTH
        assert np.array_equal(reader.tokens().input_ids, np.arange(3 * ROWS))
        for keep in (np.ones(3 * ROWS, dtype=bool), np.arange(3 * ROWS) % 7 > 2, np.arange(3 * ROWS) == 1600):
            blocks = []
            for start, values in reader.blocks(keep):
                assert start == 70 * len(blocks)
                assert values.dtype == np.float32
                assert values.flags.c_contiguous
                blocks.append(values.copy())
            assert np.array_equal(np.concatenate(blocks), joined[keep].T)
        ranges = [(3, 10), (10, 2000), (2900, 3100), (4499, 4500)]
        for (start, stop), rows in zip(ranges, reader.rows(ranges), strict=True):
            assert rows.dtype == np.float32
            assert np.array_equal(rows, joined[start:stop])


@pytest.mark.usefixtures("held_bytes")
def test_more_shards_are_read_than_files_may_be_open(tmp_path: Path) -> None:
    paths = [tmp_path / f"shard_{i}.h5" for i in range(12)]
    for seed, path in enumerate(paths):
        write_shard(path, seed)
    with few_open_files(4):
        with pytest.raises(OSError, match="Too many open files"), ExitStack() as stack:
            for path in paths:
                stack.enter_context(path.open("rb"))
        read_layer(*paths)
        with LayerReader([str(path) for path in paths], "mlp_pre", 1) as reader:
            assert len(reader.tokens()) == 12 * ROWS
            next(reader.rows([(0, 10), (11 * ROWS, 11 * ROWS + 1)]))  # and no more


@pytest.mark.parametrize("hold", [True, False])
def test_a_layer_that_is_held_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold: bool) -> None:
    write_shard(tmp_path / "shard.h5")
    monkeypatch.setattr(activation_shards, "HELD_BYTES", 4 * ROWS * WIDTH if hold else 4 * ROWS * WIDTH - 1)
    monkeypatch.setattr(activation_shards, "BLOCK_BYTES", 8 * ROWS * (WIDTH // 2))
    read, getitem = [], h5py.Dataset.__getitem__

    def count(dataset: h5py.Dataset, *args: object) -> np.ndarray:
        values = getitem(dataset, *args)
        read.append(values.size)
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", count)
    read_layer(tmp_path / "shard.h5")
    assert sum(read) == (1 if hold else 2) * ROWS * WIDTH


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


WRITE_AND_DIE = """
import importlib, os, signal, sys
from pathlib import Path
import test_activation_shards

module, name, when, calls = sys.argv[2:]
owner = importlib.import_module(module)
*outer, name = name.split(".")
for part in outer:
    owner = getattr(owner, part)
original = getattr(owner, name)
left = int(calls)

def dying(*args, **options):
    global left
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*args, **options)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, dying)
test_activation_shards.write_shard(Path(sys.argv[1]))
"""
WRITER = "layerscope.extract.writer"
MOMENTS = {
    "the file is made": ("h5py", "File.__init__", "after", 1, False),
    "some rows are written": (WRITER, "ActivationShardWriter.append", "after", 3, False),
    "all rows are written": (WRITER, "ActivationShardWriter.finish", "before", 1, False),
    "the file is to be closed": ("h5py", "File.close", "before", 1, False),
    "the file is closed, and not synced": (WRITER, "sync", "before", 1, False),
    "the file is synced": (WRITER, "verify_structure", "before", 1, False),
    "the file is to be renamed": ("pathlib", "Path.replace", "before", 1, False),
    "the file is renamed": ("pathlib", "Path.replace", "after", 1, True),
    "its manifest is to be written": (WRITER, "write_json", "before", 1, True),
    "its manifest is written in part": ("layerscope.io.files", "sync", "before", 1, True),
    "its manifest is to be renamed": ("pathlib", "Path.replace", "before", 2, True),
    "its manifest is renamed": ("pathlib", "Path.replace", "after", 2, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [False, True], ids=["new", "over an earlier shard"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_when(tmp_path: Path, moment: str, earlier: bool) -> None:
    """What is there is whole or refused, and a second run leaves just what an undisturbed one does."""
    expected, _ = write_shard(tmp_path / "undisturbed/shard.h5")
    path = tmp_path / "killed/shard.h5"
    if earlier:
        write_shard(path, seed=1)
    *call, renamed = MOMENTS[moment]
    command = [sys.executable, "-c", WRITE_AND_DIE, str(path), *map(str, call)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL

    done = moment == "its manifest is renamed"
    if done or (earlier and not renamed):
        with LayerReader([str(path)], "mlp_pre", 1) as reader:
            assert reader.tokens().input_ids[0] == (0 if done else ROWS)
    else:
        refusal(lambda: read_layer(path))
    assert path.exists() == (earlier or renamed)

    assert write_shard(path)[0] == expected == read_json(path.with_suffix(".json"))
    read_layer(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["shard.h5", "shard.json"]


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


def test_file_that_cannot_be_read_back_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a disk that loses what it was given: the end of the file is gone when it is opened again."""
    monkeypatch.setattr(writer, "sync", lambda path: path.is_file() and os.truncate(path, path.stat().st_size - 1000))
    with pytest.raises(UserError, match="damaged"):
        write_shard(tmp_path / "shard.h5")
    assert not list(tmp_path.iterdir())


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
    with pytest.raises(UserError, match=r"shard\.h5: holds no resid_pre/layer_00; .* add the site to its sites"):
        LayerReader([str(path)], "resid_pre", 0).__enter__()
