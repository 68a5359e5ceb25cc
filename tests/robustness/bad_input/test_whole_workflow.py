"""The real command on bad input: the user sees one line and no traceback, and nothing has run that need not have."""

import copy
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from changes import edit, put, write
from conftest import STUDY, Run

TABLE = "results/token_length/layers.csv"
TRACEBACK = "Traceback (most recent call last)"


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the project says in the output of a run that failed."""
    assert done.returncode != 0
    assert TRACEBACK not in done.stdout
    return [line for line in done.stdout.splitlines() if re.match("(layerscope|config|corpus|models|tokenizers)", line)]


@pytest.mark.parametrize(
    ("change", "arguments", "line"),
    [
        (
            put("sampling/sequences", 3),
            [],
            "config: sampling.sequences: 3 is not a multiple of sequences_per_shard (2); ",
        ),
        (
            lambda config: config["models"].update({"../x": STUDY["models"]["tiny"]}),
            [],
            'config: models: the name "../x" is not allowed: string sho',
        ),
        (
            edit("model/config.json", vocab_size=100),
            [],
            "config: models.tiny.tokenizer: 'mini' has token ids up to 8191",
        ),
        (write("corpus.jsonl", b"\x00\xff"), [], "corpus mine: corpus.jsonl cannot be read: UnicodeDecodeError: "),
        (write("tokenizer/tokenizer.json", "{"), [], "tokenizers.mini: tokenizer/tokenizer.json cannot be read: "),
        (
            put("x", 1),
            ["--config", "sampling=few"],
            'config: sampling: "few" is not allowed: it must be a section',
        ),
        # Numbers within braces come as text from Snakemake.
        (
            put("sampling", {}),
            ["--config", "sampling={sequences: 4}"],
            'config: sampling.sequences: "4" is not allowed: input should be a valid integer',
        ),
    ],
)
def test_before_any_job(
    study: dict[str, Any], snakemake: Run, tmp_path: Path, change: Any, arguments: list[str], line: str
) -> None:
    change(study)
    done = snakemake(tmp_path, study, *arguments)
    assert any(said.startswith(line) for said in lines_of(done)), done.stdout
    assert "WorkflowError" in done.stdout
    assert not (tmp_path / "results").exists() and not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "models: {tiny: {source: model",
            "config: overlay.yaml: line 2, column 1: not valid YAML: did not find expected ',' or '}'",
        ),
        ("- models", "config: overlay.yaml: contains a list, not keys such as models and studies at its top level"),
        (None, "config: overlay.yaml: cannot be read (No such file or directory)"),
        (
            "extraction:\n  device: cpu\n  device: cuda\n",
            "config: extraction.device: is duplicated in line 3 of ",
        ),
    ],
)
def test_overlay_that_is_no_config(
    study: dict[str, Any], snakemake: Run, tmp_path: Path, text: str | None, said: str
) -> None:
    """All but the last are found before Snakemake reads the files, and it reads them before the Snakefile."""
    if text is not None:
        (tmp_path / "overlay.yaml").write_text(text)
    done = snakemake(tmp_path, study, "overlay.yaml")
    lines = lines_of(done)
    assert len(lines) == 1 and lines[0].startswith(said), done.stdout
    assert not (tmp_path / "results").exists()


def test_names_that_snakemake_has_uses_for(study: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    """They look odd and are allowed: every study and tokenizer can be called so."""
    names = ["items", "dimensions", "size"]
    study["models"] = {name: {"source": "model", "tokenizer": name, "layers": 2} for name in names}
    study["tokenizers"] = {name: {"source": "tokenizer"} for name in names}
    study["studies"]["path_length"] = {"corpus": "mine"}
    for settings in study["studies"].values():
        settings["models"] = names
    done = snakemake(tmp_path, study, "--dry-run")
    assert done.returncode == 0, done.stdout


def test_in_a_job(study: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    lines = (tmp_path / "corpus.jsonl").read_text().splitlines()
    lines[2] = '{"text": "and this line ends here'
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    done = snakemake(tmp_path, study, "--", TABLE)
    line = lines_of(done)[0]
    log = "results/logs/encode_documents/mini/mine/part_0000.log"
    assert line == (
        "layerscope: encode_documents mini mine 0000: corpus mine: corpus.jsonl cannot be read: ValueError: line 3, "
        f"column 34, is not valid JSON: Invalid control character (log: {log})"
    )
    assert TRACEBACK in (tmp_path / log).read_text()


def test_hub_that_is_not_there(study: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    study["models"]["tiny"]["source"] = "owner/name"
    done = snakemake(tmp_path, study, "--until", "fetch_model", HF_ENDPOINT="http://127.0.0.1:9")
    [line] = lines_of(done)
    assert line.startswith("layerscope: fetch_model tiny: hub: cannot be reached for owner/name (")
    assert re.search(r"needs no network \(log: results/logs/fetch_model/tiny/\w+\.log\)$", line)


@pytest.fixture
def small_disk() -> tuple[str, ...]:
    """The command before a command, for which results/ is a disk of ``$SIZE``."""
    mount = ("unshare", "--map-root-user", "--mount", "sh", "-c")
    try:
        subprocess.run([*mount, "mount -t tmpfs none /mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a mount namespace of its own (unshare), which is not allowed here")
    return (*mount, 'mount -t tmpfs -o size=$SIZE none results && exec "$@"', "-")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compression", "said"),
    [
        (
            "none",
            r"results/activations/tiny/mine: 2 activation shards need 0\.131 MB, and [0-9.e-]+ MB are free there; ",
        ),
        ("gzip", r"no space left \(No space left on device\); free some where results/ is, lower sampling"),
    ],
)
def test_full_disk(
    study: dict[str, Any], snakemake: Run, tmp_path: Path, small_disk: tuple[str, ...], compression: str, said: str
) -> None:
    (tmp_path / "results").mkdir()
    study["extraction"] = {"compression": compression}
    shards = [
        f"results/activations/tiny/mine/shard_000{shard}.h5" for shard in (0, 1)
    ]  # no table may fill the disk first
    done = snakemake(tmp_path, study, "--", *shards, before=small_disk, SIZE="90k")
    lines = lines_of(done)
    assert any(re.match(rf"layerscope: extract tiny mine 000[01]: {said}", line) for line in lines), done.stdout


@pytest.fixture
def nobody(project: Path) -> tuple[str, ...]:
    """The command before a command that permissions hold for."""
    if os.getuid():
        return ()
    before = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    test = [*before, shutil.which("python") or "python", "-c", "import snakemake, sys; open(sys.argv[1])"]
    try:
        subprocess.run([*test, str(project / "Snakefile")], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root may do everything, and nobody else may read this project and its Python")
    return before


@pytest.fixture
def open_folder(sources: Path) -> Iterator[Path]:
    """A folder with the sources that all may enter, unlike the temporary folders of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "study")
        shutil.copytree(sources, folder)
        for path in (Path(name), folder, *folder.rglob("*")):
            path.chmod(0o777)
        yield folder


def test_results_that_may_not_be_written(snakemake: Run, open_folder: Path, nobody: tuple[str, ...]) -> None:
    """Snakemake says it."""
    (open_folder / "results").mkdir(mode=0o555)
    done = snakemake(open_folder, copy.deepcopy(STUDY), "--", TABLE, before=nobody)
    said = r"WorkflowError:\nFailed to create output directory results/\S+\nPermissionError: .* denied: 'results/"
    assert re.search(said, done.stdout), done.stdout
    assert not lines_of(done)
    assert not list((open_folder / "results").iterdir())


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("model/model.safetensors", "config: models.tiny.source: model/model.safetensors cannot be read; check"),
        ("model", "model/config.json: cannot be read (Permission denied)"),
        ("tokenizer/tokenizer.json", "config: tokenizers.mini.source: tokenizer/tokenizer.json cannot be read; check"),
        (
            "corpus.jsonl",
            "config: corpora.mine.source: corpus.jsonl cannot be read; check its permissions or where its",
        ),
        ("sentences.txt", "token_similarity.sentences: sentences.txt cannot be read ([Errno 13] Permission denied: '"),
    ],
)
def test_source_that_may_not_be_read(
    snakemake: Run, open_folder: Path, nobody: tuple[str, ...], path: str, line: str
) -> None:
    (open_folder / path).chmod(0)
    done = snakemake(open_folder, copy.deepcopy(STUDY), before=nobody)
    (open_folder / path).chmod(0o777)
    assert TRACEBACK not in done.stdout
    assert any(said.startswith(line) for said in done.stdout.splitlines()), done.stdout
    assert not (open_folder / "results").exists()


def test_what_another_sample_left_is_not_read(study: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    """Shards of a larger sample, and such as no sample has, beside those that count."""
    study["sampling"]["sequences"] = 2
    table = tmp_path / "results/token_length/tiny/layer_01.parquet"
    tables = []
    for _ in range(2):
        done = snakemake(tmp_path, study, "--", str(table.relative_to(tmp_path)))
        assert done.returncode == 0, done.stdout
        tables.append(table.read_bytes())
        table.unlink()
        for shard in ("0001", "0007"):
            for name in (
                f"tokens/mini/mine/shard_{shard}.h5",
                *(f"activations/tiny/mine/shard_{shard}.{ending}" for ending in ("h5", "json")),
            ):
                (tmp_path / "results" / name).write_text("is not to be read")
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    "place", ["results/report.html", "results/claims.csv", TABLE, "results/activations/tiny/mine/shard_0001.h5"]
)
def test_folder_where_a_file_should_be(study: dict[str, Any], snakemake: Run, tmp_path: Path, place: str) -> None:
    (tmp_path / place / "within").mkdir(parents=True)
    for arguments in ([], ["--dry-run"]):
        done = snakemake(tmp_path, study, *arguments)
        assert done.returncode != 0 and TRACEBACK not in done.stdout
        command = f"rm -r {place}"
        line = f"{place}: a folder where a file should be; move it away, or delete it and run again ({command})"
        assert line in done.stdout.splitlines(), done.stdout
    assert (tmp_path / place / "within").is_dir() and not list(tmp_path.glob("results/**/*.json"))
    subprocess.run(command, cwd=tmp_path, shell=True, check=True)
    assert snakemake(tmp_path, study, "--dry-run").returncode == 0


def test_unforeseen_error_of_planning(study: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    """Like that of a library in a state that nobody thought of."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/sitecustomize.py").write_text(
        "import layerscope.preflight.local_sources\n\n"
        "class PanicException(BaseException): pass\n\n"
        "def panic(*_): raise PanicException('called `unwrap()` on\\na None value')\n\n"
        "layerscope.preflight.local_sources.load_tokenizer = panic\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path / "odd"), os.environ.get("PYTHONPATH")]))
    done = snakemake(tmp_path, study, PYTHONPATH=path)
    assert lines_of(done) == [
        "config: unexpected PanicException at tokenizers.mini.source: called `unwrap()` on a None value (log: "
        "logs/planning.log)"
    ]
    assert TRACEBACK in (tmp_path / "logs/planning.log").read_text()
    assert not (tmp_path / "results").exists()
