"""Files of the configuration that are no configuration: one line with file, line and column."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Run
from test_whole_workflow import lines_of

from layerscope.config.files import check_command_line, check_config_file, check_config_files
from layerscope.io.errors import UserError

FILE = "config/config.yaml"
NOT_YAML = "not valid YAML:"
# id → (content, the rest of the line or how it begins)
CATALOGUE: dict[str, tuple[str | bytes, str]] = {
    "bracket left open": (
        "models: {tiny: {source: model\nstudies:\n",
        f"line 2, column 8: {NOT_YAML} did not find expected ',' or '}}' (while parsing a flow mapping, which began in "
        "line 1)",
    ),
    "indented too far": (
        "sampling:\n  sequences: 4\n   shards: 2\n",
        f"line 3, column 10: {NOT_YAML} mapping values are",
    ),
    "tab": ("models:\n\ttiny: 1\n", f"line 2, column 1: {NOT_YAML} found character that cannot start any token"),
    "quote left open": ('models: "tiny\n', f"line 2, column 1: {NOT_YAML} found unexpected end of stream"),
    "no colon": ("models:\n  tiny\n  mini: 1\n", f"line 3, column 7: {NOT_YAML} mapping values are not allowed"),
    "alias of nothing": ("models: *tiny\n", f"line 1, column 9: {NOT_YAML} found undefined alias"),
    "alias within itself": (
        "models: &all\n  tiny: *all\n",
        "line 1: contains an alias (*) of itself; write ",
    ),
    "unknown tag": ("models: !python/tuple [1]\n", f"line 1, column 9: {NOT_YAML} could not determine a constructor"),
    "list for a key": ("[models]: 1\n", f"line 1, column 1: {NOT_YAML} found unhashable key"),
    "two documents": ("models: 1\n---\nstudies: 1\n", f"line 2, column 1: {NOT_YAML} but found another document"),
    "date that does not exist": ("models: 2026-13-01\n", f"{NOT_YAML} month must be in 1..12"),
    "control character": ("models: é\nx: \x01\n", f"line 2: {NOT_YAML} character 0x1 is not allowed"),
    "Latin-1": (
        "models: 1\n# é\n".encode("latin-1"),
        "line 2: is not UTF-8 (invalid continuation byte); save it as UTF-8",
    ),
    "UTF-16": ("models: 1\n".encode("utf-16"), "line 1: is not UTF-8 (invalid start byte); save it as UTF-8"),
    "list": ("- models\n", "contains a list, not keys such as models and studies at its top level"),
    "text": ("models\n", "contains a str, not keys such as models and studies at its top level"),
    "nothing": ("# all of it is a comment\n", "contains nothing, not keys such as models and studies at its top level"),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    return Path(FILE)


@pytest.mark.parametrize("mistake", CATALOGUE)
def test_mistake_is_one_line(file: Path, mistake: str) -> None:
    content, line = CATALOGUE[mistake]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        check_config_files()
    said = str(error.value)
    assert said.startswith(f"config: {FILE}: {line}")
    assert len(said.splitlines()) == 1 and len(said) < 300


def test_folder_in_place_of_a_file(file: Path) -> None:
    file.mkdir()
    with pytest.raises(UserError, match=f"^config: {FILE}: cannot be read \\(Is a directory\\)$"):
        check_config_files()


def test_overlay_that_is_missing(file: Path) -> None:
    file.write_text("models: {}")
    with pytest.raises(UserError, match=r"^config: overlay.yaml: cannot be read \(No such file or directory\)$"):
        check_config_files(["overlay.yaml"])


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"models": {"tiny": 1}}, indent="\t"),
        yaml.safe_dump({"models": {"tiny": 1}}),
        "base: &base {a: 1}\nother: *base\nagain: [*base, *base]\n",
        "\ufeffmodels: 1\n",
    ],
    ids=["JSON with tabs", "YAML", "aliases", "byte order mark"],
)
def test_what_is_valid_stays_so(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    check_config_file(FILE)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (
            lambda config: config.write_text("models:\n\ttiny: 1\n"),
            f"config: {FILE}: line 2, column 1: not valid YAML: ",
        ),
        (lambda config: config.unlink(), f"config: {FILE} is not in "),
        (lambda config: (config.unlink(), config.mkdir()), f"config: {FILE}: cannot be read (Is a directory)"),
    ],
    ids=["broken", "missing", "folder"],
)
def test_in_a_run(
    study: dict[str, Any], snakemake: Run, tmp_path: Path, spoil: Callable[[Path], object], line: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / FILE).write_text("models: {}\n")
    spoil(tmp_path / FILE)
    done = snakemake(tmp_path, study)
    assert sum(said.startswith(line) for said in lines_of(done)) == 1, done.stdout
    assert not (tmp_path / "results").exists() and not (tmp_path / "logs").exists()


def test_folder_that_is_no_project(study: dict[str, Any], snakemake: Run, tmp_path: Path) -> None:
    """``--directory`` with a file that would override the default, which is not there."""
    (tmp_path / "elsewhere").mkdir()
    done = snakemake(tmp_path, study, "--directory", "elsewhere", "--dry-run")
    assert lines_of(done) == [
        f"config: {FILE} is not in {tmp_path / 'elsewhere'}; run snakemake in the project's folder (a study of "
        "your own is a file for --configfile there, or a clone of the project)"
    ]


def test_target_after_the_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text("studies: {}\n")
    (tmp_path / "other.json").write_text('{"studies": {}}\n')
    monkeypatch.chdir(tmp_path)
    files = ["--configfile", "study.yaml", "other.json"]
    monkeypatch.setattr("sys.argv", ["snakemake", "--cores", "1", *files])
    check_command_line()
    monkeypatch.setattr("sys.argv", ["snakemake", "--cores", "1", *files, "estimate"])
    with pytest.raises(SystemExit) as stop:
        check_command_line()
    assert stop.value.code == (
        "config: estimate: is taken for a config file, as all that follows --configfile; write a target before it: "
        "snakemake estimate --configfile study.yaml"
    )
