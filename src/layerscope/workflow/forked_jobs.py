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
import re
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Collection, Iterable
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
# Scripts that take their threads when they run; of all others, libraries take them when they are imported.
OWN_THREADS = MODEL_SCRIPTS | {"match_neurons"}
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

    def run(self, script: str, temporary: str, modules: Collection[str] = ()) -> dict[str, Any]:
        """Run a script in a fork.

        Args:
            temporary: folder for temporary files.
            modules: what it imports besides what it says itself.

        Returns:
            ``status``, its exit status, negative if a signal ended it; and, if none did, what it took, as
            :func:`taken` says.
        """
        read, write = os.pipe()
        with os.fdopen(read) as told:
            try:
                socket.send_fds(self.socket, [json.dumps([script, temporary, list(modules)]).encode()], [write])
            finally:
                os.close(write)
            # Of a fork that is killed, the pipe closes before it says how it ended.
            return json.loads(told.read() or json.dumps({"status": -signal.SIGKILL}))


class Servers:
    """The servers of this process, each started when the first of its scripts runs, or before."""

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

    def start(self, scripts: Iterable[str]) -> None:
        """Start the servers for scripts that will run, so that none has to wait for imports.

        Args:
            scripts: their paths.
        """
        for script in scripts:
            self.of(Path(script).stem)


def fork_local_jobs(script_class: Any) -> Servers:
    """Let Snakemake run the Python scripts of local jobs by :class:`Servers`.

    Jobs of several cores start as ever, but for those of ``OWN_THREADS``.

    Args:
        script_class: Snakemake's class of Python scripts.

    Returns:
        The servers, of which none has started.
    """
    execute, servers = script_class.execute_script, Servers()

    def execute_script(script: Any, path: str, edit: bool = False) -> None:
        name = Path(script.path.get_path_or_uri(secret_free=True)).stem
        isolated = script.conda_env or script.container_img or script.env_modules
        if (script.threads != 1 and name not in OWN_THREADS) or isolated or edit:
            execute(script, path, edit)
            return

        modules = modules_named(script.params.get("spec"))
        ended = servers.of(name).run(path, script.resources.get("tmpdir") or "", modules)
        if status := ended.pop("status"):
            raise subprocess.CalledProcessError(status, [sys.executable, path])
        if script.bench_record:  # which Snakemake would fill by looking, twice a second, at all pages that a job has
            vars(script.bench_record).update(ended, data_collected=True)

    script_class.execute_script = execute_script
    return servers


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
        script, temporary, modules = json.loads(message)
        if new := (modules_of(script) | set(modules)) - imported:
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


def modules_named(spec: Any) -> set[str]:
    """Modules of this package whose functions a spec names, as those that draw figures."""
    return set(re.findall(r'"(layerscope(?:\.\w+)+):\w+"', json.dumps(spec, default=str)))


def import_all(modules: set[str]) -> None:
    """Import modules; one that cannot be imported is left to the script, which will say so."""
    for module in sorted(modules):
        with contextlib.suppress(Exception):
            import_module(module)


def leave(script: str, told: int) -> None:
    """Run a script, and end this process with its status.

    Args:
        told: descriptor of a pipe, which gets what :meth:`Server.run` returns.
    """
    with contextlib.suppress(OSError, IndexError):  # of Linux: the name that `top` shows, of 15 characters at most
        Path("/proc/self/comm").write_text(Path(script).name.split(".")[1])
    status, started = 1, time.monotonic()
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
        with contextlib.suppress(BrokenPipeError):  # nobody reads it any more
            os.write(told, json.dumps({"status": status, **taken(started)}).encode())
        os._exit(status)  # without the end of an interpreter, which takes as long as its start


def taken(started: float) -> dict[str, float | None]:
    """What this process has taken, under the names and in the units of a benchmark record of Snakemake.

    What only a look at each of its pages would tell is None.

    Args:
        started: when it started, by ``time.monotonic``.
    """
    usage, mebibyte = resource.getrusage(resource.RUSAGE_SELF), 2**20
    seconds = usage.ru_utime + usage.ru_stime
    peak = re.search(r"^VmPeak:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return {
        "running_time": time.monotonic() - started,
        "cpu_time": seconds,
        "cpu_usage": 100 * seconds,  # divided by the seconds that passed, it is the mean load in percent
        "max_rss": usage.ru_maxrss * 1024 / mebibyte,
        "max_vms": int(peak[1]) * 1024 / mebibyte if peak else None,
        "max_uss": None,
        "max_pss": None,
        "io_in": usage.ru_inblock * 512 / mebibyte,
        "io_out": usage.ru_oublock * 512 / mebibyte,
    }


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the forks, and this process ends with the one that asks
    import_all(set(sys.argv[2:]))
    serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)  # for the end of an interpreter with torch takes a second, which the user would wait for
