"""The frame of every script: a log file, and one line for the user when something goes wrong."""

import errno
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from layerscope.errors import UserError


@contextmanager
def job(snakemake: Any) -> Iterator[Any]:
    """Run a script's body with logging to the job's log file.

    On an error the traceback goes to the log; standard error gets one line and the job fails.
    """
    logging.basicConfig(
        filename=snakemake.log[0],
        filemode="w",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )
    name = " ".join([snakemake.rule, *(str(value) for value in snakemake.wildcards)])
    try:
        yield snakemake
        logging.info("done")
    except Exception as error:
        logging.error(traceback.format_exc())
        print(f"layerscope: {name}: {_line(error)} (log: {snakemake.log[0]})", file=sys.stderr, flush=True)
        sys.exit(1)


def inputs_of_models(task: Any, table: str = "of") -> dict[str, list[str]]:
    """The inputs called ``{table}_{model}``, of each model of the spec: model → paths."""
    return {model: list(task.input[f"{table}_{model}"]) for model in task.params.spec["models"]}


def _line(error: Exception) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    # PyTorch raises errors of its own: RuntimeError for main memory, OutOfMemoryError for that of a GPU.
    if isinstance(error, MemoryError) or re.search("can't allocate memory|out of memory", text):
        return (
            f"memory ran out ({text}); free some, or raise mem_mb of the rule on a cluster; a job that runs a model "
            "needs less with a lower extraction.batch_size"
        )
    # HDF5 hides the system's number in the text of some errors.
    hidden = re.search(r"\berrno = (\d+)", text)
    match int(hidden[1]) if hidden else getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT as number:
            return (
                f"no space is left ({os.strerror(number)}); free some where results/ is, or lower sampling.sequences "
                "or set extraction.storage_dtype: float16"
            )
        case errno.EACCES | errno.EPERM | errno.EROFS as number:
            place = getattr(error, "filename", None) or text
            return f"{place}: cannot be opened or written ({os.strerror(number)}); change its permissions"
    return f"unexpected {type(error).__name__}: {text}"
