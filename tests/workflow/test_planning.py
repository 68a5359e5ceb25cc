"""What goes wrong in planning becomes one line, and the traceback is in a log."""

from pathlib import Path

import pytest

from layerscope.io.errors import UserError, at
from layerscope.workflow.planning import LOG, Planning


class Stop(Exception):
    """In the place of Snakemake's WorkflowError."""


class Panic(BaseException):
    """What a library raises that is written in Rust."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line_of(error: BaseException, *places: str | Path) -> str:
    """What is said of an error at nested places."""

    def run(rest: tuple[str | Path, ...]) -> None:
        if not rest:
            raise error
        with at(rest[0]):
            run(rest[1:])

    with pytest.raises(Stop) as stop, Planning(Stop):
        run(places)
    return str(stop.value)


@pytest.mark.parametrize("kind", [RuntimeError, Panic, RecursionError, MemoryError])
def test_unforeseen_error(kind: type[BaseException]) -> None:
    line = line_of(kind("two\nlines"), "models.tiny.source", Path("model/config.json"))
    assert line == f"config: unexpected {kind.__name__} at model/config.json: two lines (log: {LOG})"
    assert "Traceback" in LOG.read_text() and "models.tiny.source" in LOG.read_text()


def test_error_without_words_or_a_place() -> None:
    assert line_of(ValueError()) == f"config: unexpected ValueError (log: {LOG})"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert line_of(ValueError("\x1b[2J")) == rf"config: unexpected ValueError: \x1b[2J (log: {LOG})"


def test_log_that_cannot_be_written(folder: Path) -> None:
    (folder / "logs").write_text("is a file")
    assert line_of(ValueError("odd"), "a.yaml") == "config: unexpected ValueError at a.yaml: odd"


def test_what_the_user_can_put_right_needs_no_log() -> None:
    assert line_of(UserError("config: x: is missing"), "x") == "config: x: is missing"
    assert not LOG.parent.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), Stop("said already")])
def test_what_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as passed, Planning(Stop):
        raise error
    assert passed.value is error
    assert not LOG.parent.exists()
