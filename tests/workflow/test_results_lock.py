"""One run at a time in a results folder: by a lock of the kernel that no kill leaves behind."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from layerscope.io.errors import UserError
from layerscope.workflow import results_lock
from layerscope.workflow.results_lock import ResultsLock

HOLDER = """
import subprocess, sys
from layerscope.workflow.results_lock import ResultsLock
ResultsLock("results").take()
child = subprocess.Popen(["sleep", "60"], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results_lock, "PATIENCE", 0.2)
    return tmp_path


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock, and a child that inherits all it can."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    child = int(process.stdout.readline())
    yield process
    os.kill(child, 9)
    process.kill()
    process.wait()


def test_another_run_is_named(folder: Path, holder: subprocess.Popen[str]) -> None:
    before = Path("results/.lock").read_text()
    with pytest.raises(UserError) as error:
        ResultsLock("results").take()
    named = f"host {socket.gethostname()}, process {holder.pid}, folder {folder}, since "
    assert str(error.value).startswith(f"results/: another run is using it ({named}")
    assert str(error.value).endswith("); wait until it ends, or name another folder for this one's results")
    assert len(str(error.value).splitlines()) == 1
    assert Path("results/.lock").read_text() == before


def test_a_kill_lets_go_of_it_though_a_child_lives(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    lock = ResultsLock("results")
    lock.take()
    assert f"process {os.getpid()}, " in Path("results/.lock").read_text()


def test_run_that_ended_while_this_one_was_planned(holder: subprocess.Popen[str]) -> None:
    """Its plan is of files that were not there yet, or are no more."""
    lock = ResultsLock("results")
    holder.kill()
    holder.wait()
    with pytest.raises(UserError, match=r"^results/: another run ended there while this one was planned \(host "):
        lock.take()


def test_run_that_came_and_went_while_this_one_was_planned() -> None:
    lock = ResultsLock("results")
    script = "from layerscope.workflow.results_lock import ResultsLock; ResultsLock('results').take()"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(UserError, match=r"^results/: another run ended there while this one was planned \(host "):
        lock.take()


def test_looking_at_the_lock_does_not_take_it() -> None:
    Path("results").mkdir()
    Path("results/.lock").touch()
    looking, lock = ResultsLock("results"), ResultsLock("results")
    lock.take()
    assert looking is not lock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_locks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    Path("results").mkdir()
    Path("results/.lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock)
    ResultsLock("results").take()
    said = capsys.readouterr().err
    assert said == (
        f"results/.lock: cannot be locked ({os.strerror(number)}); make sure that no other run uses the same results/\n"
    )
