"""A tiny study, run once in a copy of the project, and what Snakemake plans there after an edit.

A test file with a table of edits runs itself as a script, which edits and plans in further copies: the package must be
imported from there, since its code is edited too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
MODELS = "resources/models"
CONFIG: dict[str, Any] = {
    "models": {name: {"source": f"{MODELS}/{name}", "tokenizer": "mini", "layers": 2} for name in "abc"},
    "tokenizers": {"other": {"source": "resources/tokenizers/other"}},
    "corpora": {"other": {"source": "resources/corpus/other.jsonl"}},
    "sampling": {"sequences": 4, "sequence_length": 32, "sequences_per_shard": 2},
    "studies": {
        "token_length": {
            "models": ["a", "b"],
            "pairs": [["a", "b"]],
            "corpus": "embedded",
            "histogram_bins": 64,
            "resamples": 100,
        },
        "token_similarity": {"models": ["a"]},
        "path_length": {"models": ["a"], "corpus": "embedded"},
    },
}


def settings(change: Callable[[dict], object]) -> Callable[[], None]:
    """An edit of the configuration."""

    def edit() -> None:
        config = json.loads(Path("study.yaml").read_text())
        change(config)
        Path("study.yaml").write_text(json.dumps(config))

    return edit


def setting(place: str, value: Any) -> Callable[[], None]:
    def change(config: dict) -> None:
        *sections, key = place.split(".")
        for section in sections:
            config = config.setdefault(section, {})
        config[key] = value

    return settings(change)


def snakemake(folder: Path, *arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the tiny study; whether that fails must be as said."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "study.yaml", "--cores", "2", *arguments]
    # Two extractions at once: most of a job is the start of Python.
    threads = [f"{rule}=1" for rule in ("extract", "extract_paths", "extract_vectors")]
    command += ["--resources", "gpu=2", "--set-threads", *threads]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert bool(run.returncode) == fails, (run.stdout + run.stderr)[-5000:]
    return run


def finish_study(folder: Path) -> None:
    """Make ``folder`` a copy of the project with a tiny study in which everything was run."""
    from tiny_models import save_tiny_model  # imports torch, which plans do not need

    for name in ("src", "workflow", "config", "profiles", "resources", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "neo-*", "*.egg-info")
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for name in ("Snakefile", "README.md"):
        shutil.copy(PROJECT / name, folder / name)
    for seed, (name, cycles) in enumerate({"a": 1, "b": 1, "c": 1, "three": 3}.items()):
        kinds = ["global", "local"] if cycles == 1 else ["global"]
        changes = {"vocab_size": 8192, "num_layers": 2 if cycles == 1 else 3, "attention_types": [[kinds, cycles]]}
        save_tiny_model("gpt_neo", folder / MODELS / name, seed, **changes)
    for name in ("neo-2m", "neo-8m"):  # the configuration names them
        (folder / MODELS / name).mkdir()
    shutil.copytree(folder / "resources/tokenizers/mini", folder / "resources/tokenizers/other")
    corpus = (folder / "resources/corpus/documents.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "resources/corpus/other.jsonl").write_text("".join(reversed(corpus)), encoding="utf-8")
    # So many that the vectors are larger than what Snakemake compares by itself (1 MB).
    sentences = folder / "resources/sentences_her.txt"
    lines = [f"Then one of the {line}" for line in sentences.read_text(encoding="utf-8").splitlines(keepends=True)]
    sentences.write_text("".join(lines) * 16, encoding="utf-8")
    shutil.copy(sentences, folder / "resources/others.txt")
    with (folder / "resources/others.txt").open("a") as file:
        file.write("This is one more of her sentences, the last.\n")
    (folder / "study.yaml").write_text(json.dumps(CONFIG))
    snakemake(folder)
    assert (folder / "results/token_similarity/a/vectors.h5").stat().st_size > 1e6


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of each row of the table under a heading of a page, without its header and its subtitles."""
    parts = (PROJECT / page).read_text(encoding="utf-8").split("\n## ")
    lines = next(part for part in parts if part.startswith(f"{heading}\n")).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [cells for cells in rows[2:] if not cells[0].startswith("**")]


def rules_of(cell: str) -> tuple[set[str], bool]:
    """The rules that a cell names, and whether what follows them is meant too."""
    return set(re.findall(r"`(\w+\*?)`", cell)), "and what follows" in cell


def jobs_of(jobs: list[dict], rules: set[str], follow: bool, meant: Callable[[dict], bool]) -> list[str]:
    """The jobs of ``rules`` that are ``meant``, with those that follow them: sorted, as ``named`` names them.

    A rule may end with ``*``, for all whose names begin so.
    """
    names = {job["rule"] for job in jobs}
    assert all(any(fnmatchcase(name, rule) for name in names) for rule in rules)
    declared = {
        number
        for number, job in enumerate(jobs)
        if any(fnmatchcase(job["rule"], rule) for rule in rules) and meant(job)
    }
    assert bool(declared) == bool(rules)
    pending = list(declared) if follow else []
    while pending:
        number = pending.pop()
        new = {reader for reader, job in enumerate(jobs) if number in job["reads"]} - declared
        declared |= new
        pending += new
    return named(jobs, declared)


def named(jobs: list[dict], numbers: Iterable[int]) -> list[str]:
    """Rules and wildcards of jobs, sorted. ``all`` is left out, which Snakemake has in every plan."""
    chosen = [jobs[number] for number in numbers if jobs[number]["rule"] != "all"]
    return sorted(f"{job['rule']} {' '.join(job['wildcards'].values())}".strip() for job in chosen)


def plan(arguments: list[str]) -> dict[str, list]:
    """All jobs and the planned ones, as Snakemake's command line finds them, profile and all."""
    from snakemake import cli, dag

    made: list[dag.DAG] = []
    init = dag.DAG.__init__
    dag.DAG.__init__ = lambda self, *args, **options: (made.append(self), init(self, *args, **options))[1]
    with pytest.raises(SystemExit) as end:
        cli.main(["--configfile", "study.yaml", "--dry-run", "--quiet", *arguments])
    assert end.value.code == 0
    jobs = list(made[0].jobs)
    numbers = {job: number for number, job in enumerate(jobs)}
    described = [
        {
            "rule": job.rule.name,
            "wildcards": dict(job.wildcards_dict),
            "writes": [str(path) for path in job.output],
            "script": job.rule.script and Path(job.rule.script).name,
            "spec": job.params.get("spec"),
            "reads": [numbers[other] for other in made[0].job_dependencies(job)],
        }
        for job in jobs
    ]
    return {"jobs": described, "planned": [numbers[job] for job in made[0].needrun_jobs() if job.rule.name != "all"]}


def make_plans(edits: dict[str, Callable[[], None]], arguments: dict[str, list[str]]) -> None:
    """Plan after each edit that the command line names, each in a process of its own: Snakemake keeps much in modules.

    ``arguments`` are those of Snakemake, for edits that need any.
    """
    import snakemake.cli  # noqa: F401  before the fork, once for all

    import layerscope.workflow.specs

    finished, folder, chosen = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    assert Path(layerscope.workflow.specs.__file__).is_relative_to(folder)
    plans = {}
    for edit in chosen:
        shutil.rmtree(folder)
        shutil.copytree(finished, folder)
        os.chdir(folder)
        if not (child := os.fork()):
            try:
                edits[edit]()
                Path("plan.json").write_text(json.dumps(plan(arguments.get(edit, []))))
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(child, 0)
        assert (folder / "plan.json").exists(), f"no plan after the edit: {edit}"
        plans[edit] = json.loads((folder / "plan.json").read_text())
    folder.with_suffix(".json").write_text(json.dumps(plans))


def plans_of(file: str, finished: Path, edits: list[str]) -> dict[str, dict]:
    """The plan after each edit of a test file, which calls ``make_plans`` as a script: two of them, side by side."""
    folders = [finished.parent / f"{Path(file).stem}_{part}" for part in range(2)]
    planners = []
    for part, folder in enumerate(folders):
        command = [sys.executable, file, str(finished), str(folder), json.dumps(edits[part::2])]
        paths = [str(folder / "src"), str(Path(__file__).parent)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        shutil.copytree(finished, folder)  # the package is imported from there
        with folder.with_suffix(".log").open("w") as log:
            planners.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    for planner in planners:
        planner.wait()
    plans = {}
    for planner, folder in zip(planners, folders, strict=True):
        assert planner.returncode == 0, folder.with_suffix(".log").read_text()[-5000:]
        plans.update(json.loads(folder.with_suffix(".json").read_text()))
    return plans
