"""The frame of every script: a log file, and one line for the user when something goes wrong."""

import logging
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
        if isinstance(error, UserError):
            line = str(error)
        else:
            line = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        print(f"layerscope: {name}: {line} (log: {snakemake.log[0]})", file=sys.stderr, flush=True)
        sys.exit(1)
