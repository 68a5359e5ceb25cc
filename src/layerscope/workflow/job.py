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

from layerscope.io.errors import UserError, memory_ran_out, place_of

# Read when the hub's clients are imported, which no module here does before a job needs them.
OFFLINE = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")


@contextmanager
def job(snakemake: Any, network: bool = False) -> Iterator[Any]:
    """Run a script's body with logging to the job's log file.

    On an error the traceback goes to the log; standard error gets one line and the job fails.

    Args:
        network: whether the job may ask the hub; in every other job, the hub's clients are switched off.
    """
    if not network:
        os.environ |= OFFLINE
    logging.basicConfig(
        filename=snakemake.log[0],
        filemode="w",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )
    # The content of a source is a digest, which tells the user nothing.
    wildcards = [str(value) for key, value in snakemake.wildcards.items() if key != "content"]
    name = " ".join([snakemake.rule, *wildcards])
    try:
        yield snakemake
        logging.info("done")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in a library that is written in Rust is no Exception
        logging.error(traceback.format_exc())
        line = ": ".join(filter(None, ["layerscope", name, place_of(error), _line(error)]))
        print(f"{line} (log: {snakemake.log[0]})", file=sys.stderr, flush=True)
        sys.exit(1)


def inputs_of_models(task: Any, table: str = "of") -> dict[str, list[str]]:
    """The inputs called ``{table}_{model}``, of each model of the spec: model → paths."""
    return {model: list(task.input[f"{table}_{model}"]) for model in task.params.spec["models"]}


def _line(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text
    if memory_ran_out(error):
        return (
            f"memory ran out ({text}); free some, or raise mem_mb of the rule on a cluster; a job that runs a model "
            "needs less with a lower extraction.batch_size"
        )
    # HDF5 hides the system's number in the text of some errors.
    hidden = re.search(r"\berrno = (\d+)", text)
    match int(hidden[1]) if hidden else getattr(error, "errno", None):
        case errno.ENOSPC | errno.EDQUOT as number:
            return (
                f"no space left ({os.strerror(number)}); free some where results/ is, lower sampling.sequences, or set "
                "extraction.storage_dtype: float16"
            )
        case errno.EACCES | errno.EPERM | errno.EROFS as number:
            place = getattr(error, "filename", None) or text
            return f"{place}: cannot be opened or written ({os.strerror(number)}); change its permissions"
    return f"unexpected {type(error).__name__}: {text}"
