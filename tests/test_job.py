"""The frame of every script: what the user sees of an error, and what the log keeps."""

import errno
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from layerscope.errors import UserError
from layerscope.job import job

NO_SPACE = (
    "no space is left (No space left on device); free some where results/ is, or lower sampling.sequences or set "
    "extraction.storage_dtype: float16"
)


@pytest.fixture
def task(tmp_path: Path) -> SimpleNamespace:
    handlers = logging.getLogger().handlers[:]
    yield SimpleNamespace(rule="extract", wildcards=["neo", "0001"], log=[str(tmp_path / "job.log")])
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


def test_a_job_that_ends_well_says_nothing(task: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    with job(task) as given:
        assert given is task
    assert capsys.readouterr().err == ""
    assert Path(task.log[0]).read_text().endswith("INFO done\n")
