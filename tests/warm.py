"""Processes that start with the libraries imported: forks of a server that imported them once.

Most of a short run of Snakemake, and of each of its jobs, is the start of Python. Run as a script, this file is the
server. The package itself is imported by each fork, from the folder that it is told.
"""

import atexit
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

TESTS = Path(__file__).parent
LIBRARIES = (
    *("diptest", "h5py", "jinja2", "matplotlib.backends.backend_pdf", "matplotlib.pyplot", "pandas", "PIL.Image"),
    *("psutil", "pyarrow.parquet", "pydantic", "pytest", "scipy.optimize", "scipy.stats", "snakemake.cli"),
    *("snakemake.executors.local", "snakemake.report", "tokenizers", "torch", "transformers", "yaml"),
    *(f"transformers.models.{model}.modeling_{model}" for model in ("gpt2", "gpt_neo", "gpt_neox", "llama")),
)


@functools.cache
def server() -> subprocess.Popen[str]:
    """The server of this process; it ends when this process does."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    # A fork must not come upon threads, which these libraries would start when they are imported.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.Popen([sys.executable, __file__], env={**os.environ, **alone}, text=True, **pipes)
    atexit.register(process.communicate)
    return process


def call(
    function: str, *arguments: Any, source: Path, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Call a function in a fork.

    Args:
        function: ``module:name``, of a module beside this one or of a library.
        arguments: what JSON can hold.
        source: where the package is imported from.
        folder: the working directory.
        environment: of this process, if not given.

    Returns:
        As of a process: the function's return value, or the status that it exits with, is the code.
    """
    with tempfile.TemporaryDirectory() as outputs:
        paths = [f"{outputs}/stdout", f"{outputs}/stderr"]
        request = {
            "function": function,
            "arguments": arguments,
            "source": str(source),
            "folder": str(folder),
            "environment": {**(os.environ if environment is None else environment), "PYTHONPATH": str(source)},
            "outputs": paths,
        }
        process = server()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        code = int(process.stdout.readline())
        texts = [Path(path).read_text(encoding="utf-8", errors="replace") for path in paths]
    return subprocess.CompletedProcess([function, *map(str, arguments)], code, *texts)


def serve() -> None:
    for library in LIBRARIES:
        import_module(library)
    for line in sys.stdin:
        request = json.loads(line)
        if not (child := os.fork()):
            answer(request)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def answer(request: dict[str, Any]) -> None:
    """Do what is asked, and end this process."""
    for descriptor, path in enumerate([os.devnull, *request["outputs"]]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path.insert(0, request["source"])
    leave(lambda: resolve_name(request["function"])(*request["arguments"]))


def leave(function: Callable[[], int | None]) -> None:
    """End this process with the code that a function returns or exits with."""
    code = 1
    try:
        code = function() or 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def run_snakemake(*arguments: str) -> None:
    """The command; the scripts of its jobs are forks of a process that has the libraries imported.

    It is made before Snakemake starts its threads and imports the package.
    """
    from snakemake import cli

    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not (scripts := os.fork()):
        here.close()
        leave(partial(run_scripts, there))
    there.close()
    # The Snakefile may not be able to import the package, as a test wants it.
    with contextlib.suppress(ImportError):
        from layerscope.workflow import forked_jobs

        server = forked_jobs.Server.__new__(forked_jobs.Server)
        server.socket = here
        forked_jobs.Servers.of = lambda self, script: server
    sys.argv = ["snakemake", *arguments]
    try:
        cli.main(list(arguments))
    finally:
        here.close()
        os.waitpid(scripts, 0)


def run_scripts(requests: socket.socket) -> None:
    from layerscope.workflow import forked_jobs

    forked_jobs.serve(requests)


if __name__ == "__main__":
    serve()
