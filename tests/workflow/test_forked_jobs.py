"""Scripts that run as forks: their status, what they inherit, and which of them share a server."""

import contextlib
import csv
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from layerscope.workflow.forked_jobs import MODEL_SCRIPTS, Server, Servers, fork_local_jobs, modules_named, modules_of

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    made = Server((), {"PYTHONPATH": path})
    yield made
    made.end()


def run(server: Server, folder: Path, code: str, name: str = "script.py") -> int:
    script = folder / name
    script.write_text(code)
    return server.run(str(script), "")["status"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('text')", 1),
        ("raise ValueError('wrong')", 1),
        ("import nothing_of_this_name", 1),
        ("from nothing_of_this_name import x", 1),
        ("no python", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_the_status_of_a_script_is_that_of_its_own_process(
    server: Server, tmp_path: Path, code: str, status: int
) -> None:
    assert run(server, tmp_path, code) == status
    assert run(server, tmp_path, "") == 0  # the server goes on


def test_what_a_script_says_at_its_end_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server = Server((), {})
    assert run(server, tmp_path, "import sys; print('shown'); sys.exit('too bad')") == 1
    server.end()
    assert capfd.readouterr() == ("shown\n", "too bad\n")


def test_a_module_is_imported_once_and_a_script_runs_each_time(server: Server, tmp_path: Path) -> None:
    (tmp_path / "costly.py").write_text(f"open({str(tmp_path / 'imports')!r}, 'a').write('x')\nstate = []\n")
    code = f"from costly import state\nstate.append(1)\nopen({str(tmp_path / 'runs')!r}, 'a').write(str(len(state)))\n"
    assert [run(server, tmp_path, code, name) for name in ("a.py", "b.py", "c.py")] == [0, 0, 0]
    assert (tmp_path / "imports").read_text() == "x"
    assert (tmp_path / "runs").read_text() == "111"  # none sees what another did


def test_modules_whose_functions_a_spec_names_are_imported_once(server: Server, tmp_path: Path) -> None:
    spec = {
        "r": {"function": "layerscope.studies.path_length.draw:draw_r", "path": "C:layerscope", "n": 1},
        "s": ["a:b"],
    }
    assert modules_named(spec) == {"layerscope.studies.path_length.draw"} and modules_named(None) == set()
    code = f"import sys; open({str(tmp_path / 'seen')!r}, 'a').write(f'{{\"layerscope.io.svg\" in sys.modules}} ')"
    (tmp_path / "script.py").write_text(code)
    for modules in ([], ["layerscope.io.svg", "nothing_of_this_name"], []):
        assert server.run(str(tmp_path / "script.py"), "", modules)["status"] == 0
    assert (tmp_path / "seen").read_text() == "False True True "


def test_scripts_run_side_by_side(server: Server, tmp_path: Path) -> None:
    """Each waits for a file that the other makes."""
    code = """
import pathlib, time
pathlib.Path({here!r}).touch()
while not pathlib.Path({there!r}).exists(): time.sleep(0.01)
"""
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    statuses = {}

    def start(here: str, there: str) -> None:
        statuses[here] = run(server, tmp_path, code.format(here=here, there=there), f"{Path(here).name}.py")

    threads = [threading.Thread(target=start, args=pair, daemon=True) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert statuses == {one: 0, two: 0}


def test_a_script_gets_the_folder_for_temporary_files(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import tempfile; open({str(tmp_path / 'said')!r}, 'w').write(tempfile.gettempdir())")
    for folder in (tmp_path / "mine", None):
        if folder:
            folder.mkdir()
        assert server.run(str(script), str(folder or ""))["status"] == 0
        assert (tmp_path / "said").read_text() == str(folder or tempfile.gettempdir())


def test_a_server_says_what_a_script_took(server: Server, tmp_path: Path) -> None:
    """Beside what the script sees of itself; the memory is its peak, not that at its end."""
    peak, written = 300, 5
    code = f"""
import json, os, resource
held = b"x" * ({peak} << 20)
del held
while sum(os.times()[:2]) < 0.3:
    pass
with open({str(tmp_path / "written")!r}, "wb") as file:
    file.write(b"x" * ({written} << 20))
    os.fsync(file.fileno())
seen = sum(os.times()[:2]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
json.dump(seen, open({str(tmp_path / "seen")!r}, "w"))
"""
    (tmp_path / "script.py").write_text(code)
    took = server.run(str(tmp_path / "script.py"), "")
    seconds, memory = json.loads((tmp_path / "seen").read_text())
    assert took["status"] == 0 and took["running_time"] >= 0.2
    assert took["cpu_time"] == pytest.approx(seconds, abs=0.05) and took["cpu_usage"] == 100 * took["cpu_time"]
    assert peak < memory <= took["max_rss"] < memory + 5 and took["max_vms"] > took["max_rss"]
    assert written <= took["io_out"] < written + 1 or took["io_out"] == 0  # on a file system in memory
    assert took["max_uss"] is took["max_pss"] is None


def test_a_script_took_nothing_of_what_another_did(server: Server, tmp_path: Path) -> None:
    """Neither its peak of memory nor its seconds are inherited."""
    (tmp_path / "much.py").write_text("import os\nx = b'x' * (300 << 20)\nwhile sum(os.times()[:2]) < 0.3: pass")
    (tmp_path / "little.py").touch()
    much, little = (server.run(str(tmp_path / name), "") for name in ("much.py", "little.py"))
    assert much["max_rss"] > 300 > 2 * little["max_rss"] and much["cpu_time"] >= 0.3 > 2 * little["cpu_time"]


def test_a_script_is_known_by_its_name(server: Server, tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = f"open({str(said)!r}, 'w').write(open('/proc/self/comm').read())"
    assert run(server, tmp_path, code, "tmp1.extract.py") == 0
    assert said.read_text() == "extract\n"


def test_an_interrupt_from_the_terminal_ends_the_script_and_not_the_server(server: Server, tmp_path: Path) -> None:
    assert run(server, tmp_path, "") == 0  # it has started
    os.kill(server.process.pid, signal.SIGINT)
    caught = """
import os, signal
try: os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt: raise SystemExit(7)
"""
    assert run(server, tmp_path, caught) == 7


def test_servers_start_before_they_are_asked_for_anything() -> None:
    servers = Servers()
    servers.start(["../scripts/tokenize.py", "../scripts/extract.py", "../scripts/report.py"])
    started = servers.of("count_tokens"), servers.of("summarize")
    servers.start([])
    assert (servers.of("report"), servers.of("extract_paths")) == started
    assert all(server.process.poll() is None for server in started)
    for server in started:
        server.end()


def test_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    servers = Servers()
    first = servers.of("tokenize")
    assert servers.of("report") is first
    first.process.kill()
    first.process.wait()
    second = servers.of("tokenize")
    assert run(second, tmp_path, "") == 0
    second.end()


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").touch()
    code = f"""
from layerscope.workflow.forked_jobs import Server
server = Server((), {{}})
server.run({str(tmp_path / "script.py")!r}, "")
print(server.process.pid, flush=True)
"""
    for end in ("", "import os; os._exit(0)"):  # at once, as if it was killed
        done = subprocess.run(
            [sys.executable, "-c", code + end], capture_output=True, text=True, check=True, timeout=60
        )
        with contextlib.suppress(ProcessLookupError):
            assert select.select([os.pidfd_open(int(done.stdout))], [], [], 30)[0], "the server goes on"


def test_scripts_that_import_torch_share_a_server_and_the_others_load_no_client_of_the_hub() -> None:
    code = """
import json, os, pathlib, sys
import scipy.stats, pyarrow.parquet, matplotlib.figure, h5py, pandas  # which take most of the time, and load neither
from layerscope.workflow.forked_jobs import import_all, modules_of
assert "torch" not in sys.modules and "huggingface_hub" not in sys.modules
for script in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    if not os.fork():
        import_all(modules_of(str(script)))
        print(json.dumps([script.stem, "torch" in sys.modules, "huggingface_hub" in sys.modules]), flush=True)
        os._exit(0)
    os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code, SCRIPTS], capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(list(SCRIPTS.glob("*.py"))) > 40
    assert {name for name, torch, _ in found if torch} == MODEL_SCRIPTS
    assert [name for name, torch, hub in found if hub and not torch] == []


def test_imports_ask_nothing_of_a_gpu() -> None:
    """Once CUDA is set up in a process, its forks cannot use it."""
    code = """
import sys, torch
for name in ("is_available", "device_count", "init", "_lazy_init"):
    setattr(torch.cuda, name, lambda *_, name=name: sys.exit(f"torch.cuda.{name} is called"))
from layerscope.workflow.forked_jobs import MODEL_SCRIPTS, TRANSFORMERS, import_all, modules_of
import_all(set(TRANSFORMERS).union(*(modules_of(f"{sys.argv[1]}/{script}.py") for script in MODEL_SCRIPTS)))
assert all(module in sys.modules for module in TRANSFORMERS)
"""
    done = subprocess.run([sys.executable, "-c", code, SCRIPTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_script_imports_its_code_by_name() -> None:
    """Else the server would import nothing of it."""
    assert all(len(modules_of(str(script))) >= 2 for script in SCRIPTS.glob("*.py"))


class PythonScript:
    """As much of Snakemake's class as is asked of it."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = SimpleNamespace(get_path_or_uri=lambda secret_free: str(path))
        self.threads, self.resources, self.params, self.bench_record = 1, {}, {}, None
        self.conda_env = self.container_img = self.env_modules = None
        self.executed: list[str] = []
        vars(self).update(options)

    def execute_script(self, path: str, edit: bool = False) -> None:
        self.executed.append(path)


@pytest.mark.parametrize(
    ("options", "edit", "forked"),
    [
        ({}, False, True),
        ({"threads": 2}, False, False),
        ({"threads": 2, "name": "match_neurons.py"}, False, True),
        ({"threads": 2, "name": "extract.py"}, False, True),
        ({"conda_env": "env"}, False, False),
        ({"container_img": "image"}, False, False),
        ({"env_modules": ["python"]}, False, False),
        ({}, True, False),
    ],
)
def test_scripts_in_this_environment_are_forked_unless_libraries_take_several_threads(
    tmp_path: Path, options: dict[str, Any], edit: bool, forked: bool
) -> None:
    class Class(PythonScript):
        pass

    fork_local_jobs(Class)
    path = tmp_path / options.pop("name", "script.py")
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    script = Class(path, **options)
    script.execute_script(str(path), edit)
    assert (tmp_path / "ran").exists() == forked
    assert script.executed == ([] if forked else [str(path)])


def test_models_take_the_threads_of_their_job_in_a_fork(tmp_path: Path) -> None:
    """Although the server's libraries have one."""
    script = tmp_path / "extract.py"
    code = f"""
import json, os, torch
from layerscope.model.loading import set_up_torch
before = len(os.listdir("/proc/self/task"))
set_up_torch(2)
rows = torch.randn(1024, 1024)
for _ in range(20): rows @ rows
seen = before, torch.get_num_threads(), len(os.listdir("/proc/self/task"))
json.dump(seen, open({str(tmp_path / "seen")!r}, "w"))
"""
    script.write_text(code)
    server = Server(("torch",), {})
    try:
        assert server.run(str(script), "")["status"] == 0
    finally:
        server.end()
    before, threads, after = json.loads((tmp_path / "seen").read_text())
    assert before == 1 and threads == min(2, len(os.sched_getaffinity(0))) <= after


def test_a_script_that_fails_fails_its_job(tmp_path: Path) -> None:
    class Class(PythonScript):
        pass

    fork_local_jobs(Class)
    path = tmp_path / "script.py"
    path.write_text("raise SystemExit(4)")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        Class(path).execute_script(str(path))
    assert failed.value.returncode == 4


SNAKEFILE = """
from snakemake.io import _IOFile
from snakemake.script import PythonScript
from layerscope.workflow.checksums import take_checksums_once
from layerscope.workflow.forked_jobs import fork_local_jobs

if workflow.is_main_process:
    fork_local_jobs(PythonScript)
    take_checksums_once(_IOFile)

rule all:
    input: "one.json", "two.json"

rule say:
    input: "given"
    output: "{name}.json"
    benchmark: "{name}.tsv"
    script: "say.py"

rule given:
    output: "given"
    threads: 2
    script: "say.py"
"""


def test_through_snakemake(tmp_path: Path) -> None:
    """Jobs of one core have one parent, that of a job of two is no server; benchmarks and checksums are written."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    say = 'import json, os\njson.dump([os.getppid(), os.getpid()], open(snakemake.output[0], "w"))\n'
    (tmp_path / "say.py").write_text(say)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two, given = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json", "given"))
    assert one[0] == two[0] != given[0]
    assert one[1] != two[1]
    for name in ("one", "two"):
        (measured,) = csv.DictReader((tmp_path / f"{name}.tsv").open(), delimiter="\t")
        assert measured["max_pss"] == "-" and float(measured["max_rss"]) > 5
        assert float(measured["cpu_time"]) < 1 and float(measured["s"]) < 10
    records = [json.loads(path.read_text()) for path in (tmp_path / ".snakemake/metadata").rglob("*") if path.is_file()]
    assert sum(list(record["input_checksums"]) == ["given"] for record in records) == 2
