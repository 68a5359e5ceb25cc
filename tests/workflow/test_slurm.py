"""The study through a real SLURM: the same tables as on one machine, whatever breaks on the way.

Needs LAYERSCOPE_SLURM=1, Debian and root: slurm/cluster.sh installs SLURM and starts two CPU and two GPU nodes.
Where jobs ran, what they held and how they ended is read from SLURM's own accounting, never from Snakemake's output.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from project import copy_project, snakemake
from test_docs import COMMANDS

from layerscope.preflight.config import Config
from layerscope.workflow.model_size import model_size
from layerscope.workflow.resources import Expected, Needs

pytestmark = pytest.mark.skipif(
    os.environ.get("LAYERSCOPE_SLURM") != "1",
    reason="installs and starts a SLURM cluster on this machine; LAYERSCOPE_SLURM=1 allows it",
)

GPUS = 2
PATIENCE = 900  # seconds for a run; several times what one takes on two free cores
# The profile is made for large clusters; on this one a job starts and ends within seconds.
QUICK = (
    *("--jobs", "20"),
    *("--latency-wait", "10"),
    *("--slurm-init-seconds-before-status-checks", "6"),
    *("--max-status-checks-per-second", "1"),
)
# A run is given by what to make and from which configuration: the embedded study on a quarter of its text and without
# controls; or two extractions and four layers of it without figures, which is enough to break something.
EMBEDDED = ("all", "--configfile", "embedded.yaml")
EMBEDDED_CONFIG = {
    "sampling": {"sequences": 16, "sequences_per_shard": 8},
    "studies": {
        "token_length": {"models": ["neo-2m", "neo-8m"]},
        "token_similarity": {"models": ["neo-8m"]},
        "path_length": {"models": ["neo-8m"]},
    },
}
STUDIES = ("token_length", "token_similarity", "path_length")
# All that is compared, without figures.
TABLES = ("results/claims.csv", *(f"results/{study}/layers.csv" for study in STUDIES), *EMBEDDED[1:])
SMALL = ("results/token_length/layers.csv", "--configfile", "small.yaml")
SMALL_CONFIG = {
    "sampling": {"sequences": 4, "sequence_length": 128, "sequences_per_shard": 2},
    "studies": {"token_length": {"models": ["neo-2m"], "pairs": []}, "token_similarity": None, "path_length": None},
}


def cluster(*arguments: str) -> None:
    subprocess.run([Path(__file__).parent / "slurm/cluster.sh", *arguments], check=True)


def wait_for(what: str, found: Callable[[], object], seconds: float = PATIENCE) -> object:
    """Poll until ``found`` returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)
    return value


@dataclass(frozen=True)
class Job:
    """A line of sacct."""

    number: str
    state: str
    partition: str
    account: str
    node: str
    start: str
    end: str
    memory: str
    minutes: str
    allocated: str
    rule: str
    folder: str

    FIELDS = "JobID,State,Partition,Account,NodeList,Start,End,ReqMem,TimelimitRaw,AllocTRES,Comment,WorkDir"

    @property
    def ended(self) -> str:
        return self.state.split()[0]  # "CANCELLED by 0"

    @property
    def gpus(self) -> int:
        return int(dict(item.split("=") for item in self.allocated.split(",") if item).get("gres/gpu", 0))


class Study:
    """A copy of the project, as a user of the cluster has it, and the runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_project(folder)
        for name, config in (
            ("embedded", EMBEDDED_CONFIG),
            ("small", SMALL_CONFIG),
        ):
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
        self.site({"default-resources": {"slurm_account": "lab"}})
        # Jobs use this copy of the package, also where another is installed.
        self.environment = os.environ | {"PYTHONPATH": str(folder / "src")}
        self.processes: list[subprocess.Popen[bytes]] = []

    def site(self, changes: dict[str, dict[str, object]]) -> None:
        """Edit the profile, as a site does."""
        path = self.folder / "profiles/slurm/config.yaml"
        profile = yaml.safe_load(path.read_text())
        for key, values in changes.items():
            for name, value in values.items():
                known = profile[key].get(name)
                profile[key][name] = known | value if isinstance(known, dict) else value
        path.write_text(yaml.safe_dump(profile))

    def run_here(self, *run: str) -> None:
        done = snakemake(self.folder, *run, "--cores", "2", "--quiet", "all", fresh=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]

    def start(self, *run: str) -> None:
        with (self.folder / "run.out").open("ab") as output:
            command = ["profiles/slurm/run.sh", *run, *QUICK]
            self.processes.append(
                subprocess.Popen(
                    command, cwd=self.folder, env=self.environment, stdout=output, stderr=subprocess.STDOUT
                )
            )

    def finish(self) -> None:
        """Wait for the run to end by itself, and well."""
        assert self.wait() == 0, self.output()[-3000:]

    def wait(self) -> int:
        return self.processes[-1].wait(PATIENCE)

    def output(self) -> str:
        return (self.folder / "run.out").read_text()

    def jobs(self, rule: str = "") -> list[Job]:
        """Ended jobs of this copy, in the order of their start."""
        command = ["sacct", "-X", "-n", "-P", "-S", "now-1days", "-o", Job.FIELDS]
        jobs: list[Job] = []

        def all_ended() -> bool:
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            jobs[:] = [job for job in (Job(*line.split("|")) for line in lines) if job.folder == str(self.folder)]
            return bool(jobs) and not any(job.ended in ("PENDING", "RUNNING") for job in jobs)

        wait_for("sacct to know how the jobs ended", all_ended, 60)
        return sorted((job for job in jobs if job.rule.startswith(f"rule_{rule}")), key=lambda job: job.start)

    def running_extraction(self) -> str:
        """Wait until an extraction is well under way; its number."""

        def found() -> str | None:
            assert self.processes[-1].poll() is None, self.output()[-3000:]
            # The script opens its log when it begins.
            if not any((self.folder / "results/logs/extract").rglob("*.log")):
                return None
            return next(iter(self.queued("running", "rule_extract")), None)

        return str(wait_for("an extraction to run", found))

    def queued(self, states: str, rule: str = "") -> list[str]:
        """Numbers of this copy's jobs that SLURM has now."""
        lines = subprocess.run(
            ["squeue", "-h", "-t", states, "-o", "%A|%k|%Z"], check=True, capture_output=True, text=True
        ).stdout.splitlines()
        parts = [line.split("|") for line in lines]
        return [number for number, comment, folder in parts if folder == str(self.folder) and comment.startswith(rule)]

    def tables(self) -> dict[str, pd.DataFrame]:
        results = self.folder / "results"
        tables = {str(path.relative_to(results)): pd.read_parquet(path) for path in results.rglob("layer_*.parquet")}
        found = [*results.rglob("layers.csv"), *results.rglob("claims.csv")]
        return tables | {str(path.relative_to(results)): pd.read_csv(path) for path in found}

    def close(self) -> None:
        """End what a failed test left."""
        for process in self.processes:
            process.kill()
            process.wait()
        if numbers := self.queued("all"):
            subprocess.run(["scancel", *numbers], check=False)
        # Of a job that was stopped or lost its node, processes may outlive it.
        for left in psutil.process_iter(["cwd"]):
            if left.info["cwd"] and Path(left.info["cwd"]).is_relative_to(self.folder):
                with suppress(psutil.NoSuchProcess):
                    left.kill()


def assert_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    """Equal bit for bit."""
    assert sorted(found) == sorted(expected)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)


def most_gpus_at_once(jobs: list[Job]) -> int:
    # An end sorts before a start in the same second.
    changes = sorted(change for job in jobs for change in ((job.start, job.gpus), (job.end, -job.gpus)))
    held = most = 0
    for _, gpus in sorted(changes):
        held += gpus
        most = max(most, held)
    return most


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    """The cluster; one that runs already is used and left running."""
    up = shutil.which("sinfo") and subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0
    cluster("start")
    yield
    if not up:
        cluster("stop")


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    study = Study(tmp_path / "layerscope")
    yield study
    study.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Tables of the small study, from a run on this machine alone."""
    study = Study(tmp_path_factory.mktemp("undisturbed") / "layerscope")
    study.run_here(*SMALL)
    return study.tables()


@pytest.mark.parametrize("program", ["squeue", "sacct", "scontrol"])
def test_commands_of_the_page_are_understood(study: Study, program: str) -> None:
    commands = [command for command in COMMANDS if command.startswith(f"{program} ")]
    assert commands
    for command in commands:
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True)


def test_embedded_study(study: Study, tmp_path: Path) -> None:
    here = Study(tmp_path / "here")
    begin = time.monotonic()
    study.start(*EMBEDDED)
    here.run_here(*TABLES)  # meanwhile: most of the time through SLURM is waiting
    took_here = time.monotonic() - begin
    study.finish()
    print(f"embedded study, side by side: {took_here:.0f} s here, {time.monotonic() - begin:.0f} s through SLURM")
    assert_same(study.tables(), here.tables())

    jobs = study.jobs()
    for job in jobs:
        print(*(getattr(job, name) for name in ("number", "rule", "state", "node", "allocated", "start", "end")))
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert {job.account for job in jobs} == {"lab"}
    # Two shards: of two models for token_length, of one for path_length; and the sentences of token_similarity.
    extractions = study.jobs("extract")
    assert len(extractions) == 2 * 2 + 2 + 1
    assert {(job.partition, job.gpus) for job in extractions} == {("gpu", 1)}
    assert all(job.node.startswith("gpu") for job in extractions)
    # Of stored activations, so that no GPU is needed.
    assert len(study.jobs("summarize_stored")) == 2 * 2
    others = [job for job in jobs if job not in extractions]
    assert {(job.partition, job.gpus) for job in others} == {("cpu", 0)}
    assert 1 <= most_gpus_at_once(jobs) <= GPUS
    check_requests(study)
    # Snakemake itself fetched, compared and drew.
    rules = {job.rule.split("_")[1] for job in jobs}
    assert rules == {
        *("documents", "shards", "vocabulary", "count", "extract", "summarize", "correlate", "resample"),
        *("test", "compute", "match", "jackknife", "describe", "write"),
    }


def check_requests(study: Study) -> None:
    """What SLURM was asked for is what follows from the sizes of the models."""
    config = yaml.safe_load((study.folder / "config/config.yaml").read_text())
    config["sampling"] |= EMBEDDED_CONFIG["sampling"]
    for name, settings in EMBEDDED_CONFIG["studies"].items():
        config["studies"][name] |= settings
    needs = Needs(Config.model_validate(config))

    def asked(expected: Expected, times: int = 1) -> tuple[str, int]:
        ask = needs.ask(lambda *_: expected, times)
        mem_mb, runtime = (ask[name](None, None, 1, 1) for name in ("mem_mb", "runtime"))
        return f"{mem_mb}M", runtime

    records = (study.folder / "results/sources/models").rglob("*.json")
    size = {path.parent.name: model_size(str(path)) for path in records}
    extracted = [asked(needs.extract(size[model], ["mlp_pre"], 4)) for model in size for _ in range(2)]
    found = [(job.memory, int(job.minutes)) for job in study.jobs("extract_wildcards")]
    assert sorted(found) == sorted(extracted)
    stored = [asked(needs.summarize_stored(of.layers, of.mlp)) for of in size.values() for _ in range(2)]
    assert sorted((job.memory, int(job.minutes)) for job in study.jobs("summarize_stored")) == sorted(stored)
    # The layers of a model share a job, which asks for what one of them needs, and for the time of all.
    layers = [asked(needs.correlate(of.mlp), of.layers) for of in size.values()]
    correlations = study.jobs("correlate_token_length")
    assert all("cpu=1," in job.allocated for job in correlations)
    assert sorted((job.memory, int(job.minutes)) for job in correlations) == sorted(layers)


def test_cancelled_extraction(study: Study, undisturbed: dict[str, pd.DataFrame]) -> None:
    study.start(*SMALL)
    cancelled = study.running_extraction()
    subprocess.run(["scancel", cancelled], check=True)
    study.finish()
    assert [job.number for job in study.jobs() if job.ended == "CANCELLED"] == [cancelled]
    assert [job.ended for job in study.jobs("extract")].count("COMPLETED") == 2
    assert_same(study.tables(), undisturbed)


def test_node_without_power(study: Study, undisturbed: dict[str, pd.DataFrame]) -> None:
    study.start(*SMALL)
    lost = study.running_extraction()
    node = subprocess.check_output(["squeue", "-h", "-j", lost, "-o", "%N"], text=True).strip()
    cluster("crash", node)
    try:
        study.finish()
    finally:
        cluster("start")  # brings the node back
    assert [(job.number, job.node) for job in study.jobs() if job.ended == "NODE_FAIL"] == [(lost, node)]
    # The other node took its work over.
    assert {job.node for job in study.jobs("extract") if job.ended == "COMPLETED"} <= {"gpu1", "gpu2"}
    assert study.jobs("extract")[-1].node != node
    assert_same(study.tables(), undisturbed)


def test_too_little_memory(study: Study, undisturbed: dict[str, pd.DataFrame]) -> None:
    study.site({"set-resources": {"extract": {"mem_mb": "450 * attempt"}}})
    study.start(*SMALL)
    study.finish()
    extractions = study.jobs("extract")
    assert [job for job in extractions if job.memory == "450M"]
    assert all(job.ended in ("FAILED", "OUT_OF_MEMORY") for job in extractions if job.memory == "450M")
    assert {job.memory for job in extractions if job.ended == "COMPLETED"} <= {"900M", "1350M", "1800M"}
    assert_same(study.tables(), undisturbed)


def test_too_little_time(study: Study, undisturbed: dict[str, pd.DataFrame]) -> None:
    """An extraction hangs (as on a stuck file system): its time runs out, and the next attempt has more."""
    study.site({"set-resources": {"extract": {"runtime": "1 * attempt"}}})
    study.start(*SMALL)
    hung = study.running_extraction()
    subprocess.run(["scancel", "--signal=STOP", "--full", hung], check=True)
    study.finish()
    (late,) = [job for job in study.jobs("extract") if job.number == hung]
    assert (late.ended, late.minutes) == ("TIMEOUT", "1")
    again = [job for job in study.jobs("extract") if job.rule == late.rule][-1]
    assert again.ended == "COMPLETED"
    assert int(again.minutes) >= 2
    assert_same(study.tables(), undisturbed)


def test_controller_restarted(study: Study, undisturbed: dict[str, pd.DataFrame]) -> None:
    study.start(*SMALL)
    study.running_extraction()
    cluster("down", "slurmctld")
    assert subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0
    time.sleep(15)
    cluster("up", "slurmctld")
    study.finish()
    assert {job.ended for job in study.jobs()} == {"COMPLETED"}
    assert_same(study.tables(), undisturbed)


def test_snakemake_killed(study: Study, undisturbed: dict[str, pd.DataFrame]) -> None:
    study.start(*SMALL)
    left = study.running_extraction()
    (first,) = study.processes

    study.start(*SMALL)  # a second run at the same time is refused
    assert study.wait() != 0
    assert "a run is going on" in study.output()

    first.send_signal(signal.SIGKILL)
    first.wait()
    assert left in study.queued("running")
    study.start(*SMALL)
    study.finish()
    assert left in [job.number for job in study.jobs() if job.ended == "CANCELLED"]
    assert len([job for job in study.jobs("extract") if job.ended == "COMPLETED"]) >= 2
    assert_same(study.tables(), undisturbed)


def test_gpu_that_does_not_work(study: Study) -> None:
    """The GPU that SLURM gave is the one looked for, and a run that must have one fails with one line."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU, where those of the cluster cannot compute")
    study.start(*SMALL, "--config", "extraction={device: cuda}", "--retries", "0", "--until", "extract")
    assert study.wait() != 0
    assert {(job.ended, job.gpus) for job in study.jobs("extract")} == {("FAILED", 1)}
    logs = [path.read_text() for path in (study.folder / "logs/slurm/rule_extract").rglob("*.log")]
    assert len(logs) == 2
    for log in logs:
        (line,) = [line for line in log.splitlines() if line.startswith("layerscope:")]
        assert "extraction.device: cuda, but no GPU is usable here (CUDA_VISIBLE_DEVICES: 0)" in line
