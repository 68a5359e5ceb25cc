"""The frame of every script: what the user sees of an error, and what the log keeps."""

import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from layerscope.io.errors import UserError
from layerscope.workflow.job import job

NO_SPACE = (
    "no space left (No space left on device); free some where results/ is, lower sampling.sequences, or set "
    "extraction.storage_dtype: float16"
)


@pytest.fixture
def task(tmp_path: Path) -> SimpleNamespace:
    handlers = logging.getLogger().handlers[:]
    yield SimpleNamespace(rule="extract", wildcards={"model": "neo", "shard": "0001"}, log=[str(tmp_path / "job.log")])
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("corpus mine: it is empty"), "corpus mine: it is empty"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), NO_SPACE),
        (RuntimeError("flush failed (time = now\n, errno = 28, error message = 'No space left on device')"), NO_SPACE),
        (
            PermissionError(errno.EACCES, "Permission denied", "results/x.json"),
            "results/x.json: cannot be opened or written (Permission denied); change its permissions",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "results/x.json"),
            "results/x.json: cannot be opened or written (Read-only file system); change its permissions",
        ),
        (ValueError("of\n several\n\nlines"), "unexpected ValueError: of several lines"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_its_traceback_is_in_the_log(
    task: SimpleNamespace, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    with pytest.raises(SystemExit) as end, job(task):
        raise error
    assert end.value.code == 1
    assert capsys.readouterr().err == f"layerscope: extract neo 0001: {line} (log: {task.log[0]})\n"
    log = Path(task.log[0]).read_text()
    assert "Traceback (most recent call last)" in log and type(error).__name__ in log


class Panic(BaseException):
    """As a library that is written in Rust raises it: no Exception."""


def test_a_panic_is_one_line_too(task: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, job(task):
        raise Panic("called `unwrap()` on a None value")
    assert end.value.code == 1
    line = "layerscope: extract neo 0001: unexpected Panic: called `unwrap()` on a None value"
    assert capsys.readouterr().err == f"{line} (log: {task.log[0]})\n"
    assert "Traceback (most recent call last)" in Path(task.log[0]).read_text()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_who_stops_a_job_is_not_told_of_an_error(
    task: SimpleNamespace, capsys: pytest.CaptureFixture[str], stop: type[BaseException]
) -> None:
    with pytest.raises(stop), job(task):
        raise stop
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "said",
    [
        "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "Cannot allocate memory (os error 12)",
        "Unable to allocate 3.00 GiB for an array with shape (1, 2) and data type float64",
    ],
)
def test_memory_that_ran_out_is_said_whoever_noticed(
    task: SimpleNamespace, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    with pytest.raises(SystemExit), job(task):
        raise RuntimeError(said)
    assert capsys.readouterr().err.startswith(f"layerscope: extract neo 0001: memory ran out ({said}); free some, or ")


HUB_IS_OFF = """
import json, sys
from types import SimpleNamespace
from layerscope.workflow.job import job

with job(SimpleNamespace(rule="extract", wildcards={}, log=["job.log"]), **json.loads(sys.argv[1])):
    import datasets, huggingface_hub, transformers.utils.hub
    print(huggingface_hub.is_offline_mode(), datasets.config.HF_HUB_OFFLINE, transformers.utils.hub.is_offline_mode())
"""


@pytest.mark.parametrize(("options", "off"), [({}, True), ({"network": True}, False)])
def test_clients_of_the_hub_are_off_where_nothing_is_fetched(tmp_path: Path, options: dict, off: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("OFFLINE")}
    command = [sys.executable, "-c", HUB_IS_OFF, json.dumps(options)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(off)] * 3, done.stderr


def test_scripts_that_may_ask_the_hub_are_those_of_the_rules_that_fetch(project: Path) -> None:
    asking = {path.stem for path in (project / "workflow/scripts").glob("*.py") if "network=True" in path.read_text()}
    assert asking == {"fetch_model", "fetch_tokenizer", "resolve_corpus", "fetch_documents"}


def test_a_job_that_ends_well_says_nothing(task: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with job(task) as given:
        assert given is task
    assert capsys.readouterr().err == ""
    assert Path(task.log[0]).read_text().endswith("INFO done\n")
