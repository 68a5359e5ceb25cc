"""A tiny study, run once in a copy of the project, and what Snakemake plans there after an edit.

A test file with a table of edits has each made and planned in a further copy: the package must be imported from there,
since its code is edited too.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import warm
from project import PROJECT, copy_project, snakemake

MODELS = "resources/models"
CONFIG: dict[str, Any] = {
    "models": {name: {"source": f"{MODELS}/{name}", "tokenizer": "mini", "layers": 2} for name in "abc"},
    "tokenizers": {
        "mini": {"properties": "resources/properties.csv"},
        "other": {"source": "resources/tokenizers/other", "properties": "resources/properties.csv"},
    },
    "corpora": {"other": {"source": "resources/corpus/other.jsonl"}},
    "sampling": {"sequences": 4, "sequence_length": 32, "sequences_per_shard": 2},
    "summaries": {"properties": ["digit"]},
    "studies": {
        "token_length": {
            "models": ["a", "b"],
            "pairs": [["a", "b"]],
            "corpus": "embedded",
            "properties": ["bytes", "digit"],
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


def run_study(folder: Path, *arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the tiny study; whether that fails must be as said."""
    # Two extractions at once: most of a job is the start of Python.
    threads = [f"{rule}=1" for rule in ("extract", "extract_paths", "extract_vectors")]
    options = ["--resources", "gpu=2", "--set-threads", *threads]
    run = snakemake(folder, "--configfile", "study.yaml", "--cores", "2", *arguments, *options)
    assert bool(run.returncode) == fails, (run.stdout + run.stderr)[-5000:]
    return run


def finish_study(folder: Path) -> None:
    """Make ``folder`` a copy of the project with a tiny study in which everything was run."""
    from tiny_models import save_tiny_model  # imports torch, which plans do not need

    copy_project(folder, "neo-*")
    for seed, (name, cycles) in enumerate({"a": 1, "b": 1, "c": 1, "three": 3}.items()):
        kinds = ["global", "local"] if cycles == 1 else ["global"]
        changes = {"vocab_size": 8192, "num_layers": 2 if cycles == 1 else 3, "attention_types": [[kinds, cycles]]}
        save_tiny_model("gpt_neo", folder / MODELS / name, seed, **changes)
    for name in ("neo-2m", "neo-8m"):  # the configuration names them
        (folder / MODELS / name).mkdir()
    shutil.copytree(folder / "resources/tokenizers/mini", folder / "resources/tokenizers/other")
    corpus = (folder / "resources/corpus/documents.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "resources/corpus/other.jsonl").write_text("".join(reversed(corpus)), encoding="utf-8")
    rows = "".join(f"{number},{number % 10}\n" for number in range(8192))
    for name in ("properties", "other_properties"):
        (folder / f"resources/{name}.csv").write_text("id,digit\n" + rows)
    # So many that the vectors are larger than what Snakemake compares by itself (1 MB).
    sentences = folder / "resources/sentences_her.txt"
    lines = [f"Then one of the {line}" for line in sentences.read_text(encoding="utf-8").splitlines(keepends=True)]
    sentences.write_text("".join(lines) * 16, encoding="utf-8")
    shutil.copy(sentences, folder / "resources/others.txt")
    with (folder / "resources/others.txt").open("a") as file:
        file.write("This is one more of her sentences, the last.\n")
    (folder / "study.yaml").write_text(json.dumps(CONFIG))
    run_study(folder)
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


def plan(*arguments: str) -> dict[str, list]:
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
            "rule": re.sub(r"_layers_\d+_\d+$", "", job.rule.name),
            "wildcards": dict(job.wildcards_dict),
            "writes": [str(path) for path in job.output],
            "script": job.rule.script and Path(job.rule.script).name,
            "spec": job.params.get("spec"),
            # What is written anew reruns its readers, but not those that read all of it as ancient.
            "reads": [
                numbers[other]
                for other, files in made[0].dependencies[job].items()
                if not all(file.is_ancient for file in files)
            ],
        }
        for job in jobs
    ]
    return {"jobs": described, "planned": [numbers[job] for job in made[0].needrun_jobs() if job.rule.name != "all"]}


def edit_and_plan(file: str, edit: str) -> None:
    """Make an edit of a test file here, and write down what is planned then."""
    sys.path.insert(0, str(Path(file).parent))
    tests = import_module(Path(file).stem)
    tests.EDITS[edit]()
    Path("plan.json").write_text(json.dumps(plan(*getattr(tests, "ARGUMENTS", {}).get(edit, []))))


class Plans:
    """The plan after each edit of a test file, made when it is asked for.

    It is made in a fork, since Snakemake keeps much in modules.

    Args:
        file: its ``EDITS`` are by name, and its ``ARGUMENTS``, if any, are those of Snakemake for some of them.
        finished: the folder in a copy of which an edit is made.
    """

    def __init__(self, file: str, finished: Path) -> None:
        self.file, self.finished = file, finished
        self.folder = finished.parent / Path(file).stem
        self.plans: dict[str, dict[str, list]] = {}

    def __getitem__(self, edit: str) -> dict[str, list]:
        if edit not in self.plans:
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.copytree(self.finished, self.folder)
            source = self.folder / "src"
            run = warm.call("planning:edit_and_plan", self.file, edit, source=source, folder=self.folder)
            assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]
            self.plans[edit] = json.loads((self.folder / "plan.json").read_text())
        return self.plans[edit]
