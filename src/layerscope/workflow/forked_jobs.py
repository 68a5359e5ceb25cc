"""Scripts of local jobs run as forks of a process that has imported what they import.

Most of a short job is the start of Python and its imports: half a second for numpy and pandas, four for torch and
transformers. Run as a module, this file is the server: for each script that it is asked to run it imports what the
script imports, unless it has done so before, and forks.
"""

import ast
import atexit
import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from layerscope.workflow.job import OFFLINE

# Their imports would make every fork slower and its memory hard to judge, so these have a server of their own.
MODEL_SCRIPTS = {
    *("describe_weights", "extract", "extract_paths", "extract_vectors"),
    *("reduce_paths", "summarize", "summarize_stored"),
}
# Which they import only when they load a model.
TRANSFORMERS = ("transformers.models.auto.modeling_auto", "transformers.modeling_utils")
# A fork must not come upon threads, which numerical libraries start when they are imported.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "GOTO_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


class Server:
    """A process whose forks run scripts.

    Args:
        modules: what it imports at once.
        environment: variables that it has besides those of this process.
    """

    def __init__(self, modules: tuple[str, ...], environment: dict[str, str]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # It ends when this process does, since nobody else holds the other end of its socket.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "layerscope.workflow.forked_jobs", str(theirs.fileno()), *modules],
            env=os.environ | ONE_THREAD | environment,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self.end)

    def end(self) -> None:
        """Wait for its end, so that its time counts as that of this process."""
        self.socket.close()
        self.process.wait()

    def run(self, script: str, temporary: str, watch: Callable[[int], contextlib.AbstractContextManager[Any]]) -> int:
        """Run a script in a fork.

        Args:
            temporary: folder for temporary files.
            watch: called with the fork's process id; its context is open while the script runs.

        Returns:
            The script's exit status, negative if a signal ended it.
        """
        read, write = os.pipe()
        with os.fdopen(read) as told:
            try:
                socket.send_fds(self.socket, [json.dumps([script, temporary]).encode()], [write])
            finally:
                os.close(write)
            # Of a fork that is killed, the pipe closes before it says how it ended.
            if not (process := told.readline()):
                return -signal.SIGKILL
            with watch(int(process)):
                return int(told.read() or -signal.SIGKILL)


class Servers:
    """The servers of this process, each started when the first of its scripts runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[bool, Server] = {}

    def of(self, script: str) -> Server:
        """The server for a script of this name."""
        runs_model = script in MODEL_SCRIPTS
        with self._lock:
            server = self._running.get(runs_model)
            if server is None or server.process.poll() is not None:
                modules = TRANSFORMERS if runs_model else ()
                server = self._running[runs_model] = Server(modules, OFFLINE if runs_model else {})
            return server


def fork_local_jobs(script_class: Any) -> None:
    """Let Snakemake run the Python scripts of local jobs of one core by :class:`Servers`.

    Jobs of several cores start as ever: libraries decide on their threads when they are imported.

    Args:
        script_class: Snakemake's class of Python scripts.
    """
    from snakemake.benchmark import benchmarked

    execute, servers = script_class.execute_script, Servers()

    def execute_script(script: Any, path: str, edit: bool = False) -> None:
        isolated = script.conda_env or script.container_img or script.env_modules
        if script.threads != 1 or isolated or edit:
            execute(script, path, edit)
            return

        def watch(process: int) -> contextlib.AbstractContextManager[Any]:
            return benchmarked(process, script.bench_record) if script.bench_record else contextlib.nullcontext()

        server = servers.of(Path(script.path.get_path_or_uri(secret_free=True)).stem)
        if status := server.run(path, script.resources.get("tmpdir") or "", watch):
            raise subprocess.CalledProcessError(status, [sys.executable, path])

    script_class.execute_script = execute_script


def serve(requests: socket.socket) -> None:
    """Run each script that is asked for in a fork, several at once, until nobody is left to ask."""
    imported: set[str] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 65536, 1)
        with contextlib.suppress(ChildProcessError):  # each has said by itself how it ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            return
        script, temporary = json.loads(message)
        if new := modules_of(script) - imported:
            import_all(new)
            imported |= new
        if not os.fork():
            requests.close()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if temporary:
                os.environ |= dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), temporary)
            leave(script, descriptors[0])
        os.close(descriptors[0])


def modules_of(script: str) -> set[str]:
    """Names of the modules that a script imports from; none of one that cannot be read, which will say so itself."""
    try:
        statements = ast.parse(Path(script).read_bytes()).body
    except (OSError, SyntaxError):
        return set()
    return {statement.module for statement in statements if isinstance(statement, ast.ImportFrom) and statement.module}


def import_all(modules: set[str]) -> None:
    """Import modules; one that cannot be imported is left to the script, which will say so."""
    for module in sorted(modules):
        with contextlib.suppress(Exception):
            import_module(module)


def leave(script: str, told: int) -> None:
    """Run a script, and end this process with its status, told before to whom it was asked for.

    Args:
        told: descriptor of a pipe, which gets the process id and the status, a line each.
    """
    with contextlib.suppress(OSError, IndexError):  # of Linux: the name that `top` shows, of 15 characters at most
        Path("/proc/self/comm").write_text(Path(script).name.split(".")[1])
    tell(told, os.getpid())
    status = 1
    try:
        sys.argv = [script]
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        tell(told, status)
        os._exit(status)  # without the end of an interpreter, which takes as long as its start


def tell(told: int, number: int) -> None:
    """Write a number to a pipe, unless nobody reads it any more."""
    with contextlib.suppress(BrokenPipeError):
        os.write(told, f"{number}\n".encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the forks, and this process ends with the one that asks
    import_all(set(sys.argv[2:]))
    serve(socket.socket(fileno=int(sys.argv[1])))
