"""Every edit of the table in docs/reruns.md plans the jobs that it declares; growing a sample equals a new run.

A tiny study is run once in a copy of the project. Run as a script, this file edits and plans there: the package must
be imported from the copy, since its code is edited too.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
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
            "histogram_layer": 1,
            "histogram_bins": 64,
            "draws": 100,
        },
        "token_similarity": {"models": ["a"], "matrix_layer": 1},
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


def appended(path: str, text: str = "\nchanged = True\n") -> Callable[[], None]:
    def edit() -> None:
        with Path(path).open("a") as file:
            file.write(text)

    return edit


def replaced(path: str, old: str, new: str) -> Callable[[], None]:
    def edit() -> None:
        text = Path(path).read_text()
        assert old in text
        Path(path).write_text(text.replace(old, new, 1))

    return edit


def every(*edits: Callable[[], None]) -> Callable[[], None]:
    return lambda: [edit() for edit in edits] and None


def new_weights() -> None:
    shutil.copy(f"{MODELS}/c/model.safetensors", f"{MODELS}/b/model.safetensors")


def new_comments() -> None:
    for path in [*Path("src").rglob("*.py"), *Path("workflow/scripts").glob("*.py")]:
        text = path.read_text()
        docstring = re.match(r'""".*?"""\n', text, re.DOTALL)
        text = '"""Other words."""\n\n\n' + text[docstring.end() if docstring else 0 :]
        path.write_text(text + "\n# A comment.\n")
    for path in [Path("Snakefile"), *Path("workflow/rules").glob("*.smk")]:
        path.write_text("# A comment.\n" + path.read_text())


def new_dates(*folders: str, but: tuple[str, ...] = ()) -> Callable[[], None]:
    def edit() -> None:
        files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
        files = [path for path in files if path.parts[0] not in but]
        assert len(files) > 50
        start, draw = Path("results/report.html").stat().st_mtime, random.Random(0)
        for path in files:
            moment = draw.uniform(start, time.time())  # after everything was made
            os.utime(path, (moment, moment))

    return edit


def reordered(value: Any) -> Any:
    return {key: reordered(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


def write_reordered() -> None:
    Path("study.yaml").write_text(json.dumps(reordered(json.loads(Path("study.yaml").read_text()))))


def add_study() -> None:
    """As if the study was never run; with what reads it in place, Snakemake would not miss the rest."""
    shutil.rmtree("results/path_length")
    Path("results/claims.csv").unlink()
    Path("results/report.html").unlink()


LENGTH, SIMILARITY, PATHS = (f"studies.{study}" for study in ("token_length", "token_similarity", "path_length"))
CORPUS = "corpora.embedded"
# How each edit of the table is made.
EDITS: dict[str, Callable[[], None]] = {
    "models.NAME.source": setting("models.b.source", f"{MODELS}/c"),
    "models.NAME.source and layers": every(
        setting("models.b.source", f"{MODELS}/three"), setting("models.b.layers", 3)
    ),
    "models.NAME.weights": setting("models.b.weights", "random"),
    # Only models with one tokenizer can be paired.
    "models.NAME.tokenizer": every(setting("models.b.tokenizer", "other"), setting(f"{LENGTH}.pairs", [])),
    "tokenizers.NAME.source": setting("tokenizers.mini.source", "resources/tokenizers/other"),
    "corpora.NAME.source": setting(f"{CORPUS}.source", "resources/corpus/other.jsonl"),
    "corpora.NAME.text_field": setting(f"{CORPUS}.text_field", "id"),
    "revision, subset or split of a local source": every(
        *(setting(f"{source}.revision", "main") for source in ("models.b", "tokenizers.mini", CORPUS)),
        setting(f"{CORPUS}.subset", "some"),
        setting(f"{CORPUS}.split", "test"),
    ),
    "a model, tokenizer or corpus that no study uses is added, or its name changed": settings(
        lambda config: [
            config[kind].update(new=config[kind].pop(old))
            for kind, old in (("models", "c"), ("tokenizers", "other"), ("corpora", "other"))
        ]
    ),
    "the weights of a local model replaced in place": new_weights,
    "a local tokenizer edited": appended("resources/tokenizers/mini/tokenizer.json", "\n"),
    "a local corpus edited": appended("resources/corpus/documents.jsonl", '{"text": "One more."}\n'),
    "the sentences edited": appended("resources/sentences_her.txt", "This is one more of her sentences, the last.\n"),
    "sampling.sequences, more": setting("sampling.sequences", 6),
    "sampling.sequences, fewer": setting("sampling.sequences", 2),
    "sampling.sequence_length": setting("sampling.sequence_length", 16),
    "sampling.sequences_per_shard": setting("sampling.sequences_per_shard", 4),
    "extraction.device": setting("extraction.device", "cpu"),
    "extraction.dtype": setting("extraction.dtype", "bfloat16"),
    "extraction.batch_size": setting("extraction.batch_size", 1),
    "extraction.storage_dtype": setting("extraction.storage_dtype", "float16"),
    "extraction.compression": setting("extraction.compression", "lzf"),
    "a study added": add_study,
    "a study removed": setting(PATHS, None),
    "a new model in a study": setting(f"{LENGTH}.models", ["a", "b", "c"]),
    "a model of one study in another": setting(f"{PATHS}.models", ["a", "b"]),
    "a model removed": every(setting(f"{LENGTH}.models", ["a"]), setting(f"{LENGTH}.pairs", [])),
    "studies.token_length.models in another order": setting(f"{LENGTH}.models", ["b", "a"]),
    "studies.token_length.corpus": setting(f"{LENGTH}.corpus", "other"),
    "studies.token_length.histogram_layer": setting(f"{LENGTH}.histogram_layer", 0),
    "studies.token_length.histogram_bins": setting(f"{LENGTH}.histogram_bins", 128),
    "studies.token_length.frequency_tokens": setting(f"{LENGTH}.frequency_tokens", 1000),
    "studies.token_length.pairs": setting(f"{LENGTH}.pairs", [["b", "a"]]),
    "studies.token_length.draws": setting(f"{LENGTH}.draws", 150),
    "studies.token_length.seed": setting(f"{LENGTH}.seed", 1),
    "studies.token_similarity.sentences": setting(f"{SIMILARITY}.sentences", "resources/others.txt"),
    "studies.token_similarity.target": setting(f"{SIMILARITY}.target", "the"),
    "studies.token_similarity.seed": setting(f"{SIMILARITY}.seed", 1),
    "studies.token_similarity.matrix_layer": setting(f"{SIMILARITY}.matrix_layer", 0),
    "seed and matrix_layer swap their values": every(
        setting(f"{SIMILARITY}.seed", 1), setting(f"{SIMILARITY}.matrix_layer", 0)
    ),
    "studies.path_length.corpus": setting(f"{PATHS}.corpus", "other"),
    "studies.path_length.streams": setting(f"{PATHS}.streams", "stored"),
    "studies.path_length.drop_first_token": setting(f"{PATHS}.drop_first_token", False),
    "the code of figures (token_length/draw_r.py)": appended("src/layerscope/token_length/draw_r.py"),
    "the script of one figure (draw_r_spread.py)": appended("workflow/scripts/draw_r_spread.py"),
    "the code of a statistic (token_length/measure.py)": appended("src/layerscope/token_length/measure.py"),
    "the code of the intervals (resampling.py)": appended("src/layerscope/resampling.py"),
    "a claim (path_length/claims.py)": appended("src/layerscope/path_length/claims.py"),
    "a helper of two studies (statistics.py)": appended("src/layerscope/statistics.py"),
    "the code of the extraction (extract/hooks.py)": appended("src/layerscope/extract/hooks.py"),
    "the writer of activation shards (extract/writer.py)": appended("src/layerscope/extract/writer.py"),
    "the code of tokenizing (tokenize/shard.py)": appended("src/layerscope/tokenize/shard.py"),
    "a caption, or the page of the report": every(
        appended("workflow/report/cosines.rst", "More.\n"), appended("src/layerscope/report/page.html", "\n")
    ),
    "comments, docstrings and layout of all code, scripts and rules": new_comments,
    "keys of the config in another order": write_reordered,
    "a default written out": every(
        setting(f"{PATHS}.drop_first_token", True), setting("extraction.batch_size", "auto")
    ),
    "threads (--set-threads) or memory (--set-resources)": lambda: None,  # ARGUMENTS
    "the date of every file of the project, in random order (a fresh checkout)": new_dates(
        ".", but=("results", ".snakemake")
    ),
    "the dates of all results, in random order": new_dates("results"),
    "the documentation": every(appended("docs/reruns.md"), appended("README.md"), appended("config/README.md")),
    "the project moved to another folder, results and .snakemake too": lambda: None,  # as every plan is made
}
ARGUMENTS = {
    "threads (--set-threads) or memory (--set-resources)": [
        *("--set-threads", "extract=1", "measure_token_length=2"),
        *("--set-resources", "extract:mem_mb=1234", "extract_vectors:mem_mb=1234"),
    ]
}
# The value of the wildcard that a table's last column means, in the edits above.
OF_THESE: dict[str, Callable[[str, dict], bool]] = {
    "": lambda edit, wildcards: True,
    "all": lambda edit, wildcards: True,
    "the new shards": lambda edit, wildcards: wildcards["shard"] == "0002",
    "that tokenizer": lambda edit, wildcards: wildcards["tokenizer"] == "other",
    "that corpus": lambda edit, wildcards: wildcards["corpus"] == "other",
    "that model": lambda edit, wildcards: (
        wildcards["model"] == {"a new model in a study": "c", "studies.path_length.streams": "a"}.get(edit, "b")
    ),
}


def table() -> dict[str, tuple[set[str], bool, str]]:
    """The rows of docs/reruns.md: an edit → rules, whether what follows them reruns too, and which of their jobs."""
    text = (PROJECT / "docs/reruns.md").read_text(encoding="utf-8").split("\n## ")
    rows = {}
    for line in next(part for part in text if part.startswith("Edits\n")).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("| ") else []
        if cells and cells[0] not in ("edit", "---") and not cells[0].startswith("**"):
            edit, reruns, which = cells[0].replace("`", ""), cells[1], cells[2].strip(" |") if cells[2:] else ""
            rows[edit] = (set(re.findall(r"`(\w+)`", reruns)), "and what follows" in reruns, which)
    return rows


ROWS = table()


def snakemake(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "snakemake", "--configfile", "study.yaml", "--cores", "2", *arguments]
    # Two extractions at once: most of a job is the start of Python.
    threads = [f"{rule}=1" for rule in ("extract", "extract_paths", "extract_vectors")]
    command += ["--resources", "gpu=2", "--set-threads", *threads]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A copy of the project with a tiny study in which everything was run."""
    from tiny_models import save_tiny_model

    folder = tmp_path_factory.mktemp("reruns") / "finished"
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
    lines = [f"Then the {line}" for line in sentences.read_text(encoding="utf-8").splitlines(keepends=True)]
    sentences.write_text("".join(lines) * 16, encoding="utf-8")
    shutil.copy(sentences, folder / "resources/others.txt")
    with (folder / "resources/others.txt").open("a") as file:
        file.write("This is one more of her sentences, the last.\n")
    (folder / "study.yaml").write_text(json.dumps(CONFIG))
    snakemake(folder)
    assert (folder / "results/token_similarity/a/vectors.h5").stat().st_size > 1e6
    return folder


@pytest.fixture(scope="module")
def plans(finished) -> dict[str, dict]:
    """The plan after each edit."""
    edits, planners = list(EDITS), []
    for part in range(2):
        folder = finished.parent / f"edited_{part}"
        command = [sys.executable, __file__, str(finished), str(folder), json.dumps(edits[part::2])]
        environment = {**os.environ, "PYTHONPATH": f"{folder / 'src'}"}
        shutil.copytree(finished, folder)  # the package is imported from there
        with (finished.parent / f"plans_{part}.log").open("w") as log:
            planners.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    for planner in planners:
        planner.wait()
    plans = {}
    for part in range(2):
        log = (finished.parent / f"plans_{part}.log").read_text()
        assert planners[part].returncode == 0, log[-5000:]
        plans.update(json.loads((finished.parent / f"edited_{part}.json").read_text()))
    return plans


def test_every_row_has_an_edit():
    assert list(ROWS) == list(EDITS)


@pytest.mark.parametrize("edit", ROWS)
def test_the_planned_jobs_are_the_declared_ones(plans, edit):
    rules, follow, which = ROWS[edit]
    jobs, planned = plans[edit]["jobs"], set(plans[edit]["planned"])
    assert rules <= {job["rule"] for job in jobs}
    declared = {
        number for number, job in enumerate(jobs) if job["rule"] in rules and OF_THESE[which](edit, job["wildcards"])
    }
    assert bool(declared) == bool(rules)
    pending = list(declared) if follow else []
    while pending:
        number = pending.pop()
        new = {reader for reader, job in enumerate(jobs) if number in job["reads"]} - declared
        declared |= new
        pending += new
    names = [f"{job['rule']} {' '.join(job['wildcards'].values())}".strip() for job in jobs]
    assert sorted(names[n] for n in planned) == sorted(names[n] for n in declared if jobs[n]["rule"] != "all")


def test_what_follows_is_what_reads(plans):
    """What follows is taken from the plan, so the order of the stages is declared here once more."""
    rows = plans["a default written out"]["jobs"]
    reads = {job["rule"]: {rows[number]["rule"] for number in job["reads"]} for job in rows}
    assert reads["extract"] == {"fetch_model", "tokenize"} == reads["extract_paths"]
    assert reads["measure_token_length"] == {"extract", "vocabulary"}
    assert reads["assess_token_length"] == {"extract", "vocabulary", "count_tokens"}
    assert reads["count_tokens"] == reads["tokenize"]
    assert reads["extract_vectors"] == {"fetch_model", "fetch_tokenizer"}
    assert reads["tokenize"] == {"resolve_corpus", "fetch_tokenizer"}
    drawn = {rule for rule in reads if rule.startswith("draw_")}
    assert drawn | {f"compare_{study}" for study in CONFIG["studies"]} <= reads["report"]


TABLES = [
    f"results/{table}.csv"
    for table in (
        "token_length/layers",
        "token_length/evidence",
        "token_length/matches",
        "path_length/layers",
        "claims",
    )
]


def test_growing_equals_a_run_from_scratch(finished):
    """Bit for bit, in the tables of both studies of a corpus."""
    grown, scratch = finished.parent / "grown", finished.parent / "scratch"
    shutil.copytree(finished, grown)
    shutil.copytree(finished, scratch, ignore=shutil.ignore_patterns("results", ".snakemake"))
    for folder in (grown, scratch):
        config = {**CONFIG, "sampling": {**CONFIG["sampling"], "sequences": 6}}
        (folder / "study.yaml").write_text(json.dumps(config))
        snakemake(folder, *TABLES)
    old = "results/activations/a/embedded/shard_0000.h5"
    assert (grown / old).stat().st_mtime_ns == (finished / old).stat().st_mtime_ns
    layers = [str(path.relative_to(grown)) for path in (grown / "results/token_length").glob("[ab]/*.parquet")]
    assert len(layers) == 30
    for path in [*TABLES, *layers]:
        assert (grown / path).read_bytes() == (scratch / path).read_bytes(), path
        assert (grown / path).read_bytes() != (finished / path).read_bytes(), path


def test_a_setting_changed_and_changed_back_gives_the_old_tables(finished):
    """Bit for bit; in between they are others."""
    folder = finished.parent / "there_and_back"
    shutil.copytree(finished, folder)
    found = [path for path in (folder / "results").rglob("*") if path.suffix in (".csv", ".parquet")]
    paths = [str(path.relative_to(folder)) for path in found]
    there = {**CONFIG, "sampling": {**CONFIG["sampling"], "sequence_length": 16}}
    there["extraction"] = {"storage_dtype": "float16"}
    changed = []
    for config in (there, CONFIG):
        (folder / "study.yaml").write_text(json.dumps(config))
        snakemake(folder, *TABLES)
        changed.append({path for path in paths if (folder / path).read_bytes() != (finished / path).read_bytes()})
    assert set(TABLES) < changed[0]
    assert not changed[1]


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
            "reads": [numbers[other] for other in made[0].job_dependencies(job)],
        }
        for job in jobs
    ]
    return {"jobs": described, "planned": [numbers[job] for job in made[0].needrun_jobs() if job.rule.name != "all"]}


def make_plans(finished: Path, folder: Path, edits: list[str]) -> None:
    """Plan after each of ``edits``, each in a process of its own, since Snakemake keeps much in modules."""
    import snakemake.cli  # noqa: F401  before the fork, once for all

    import layerscope.specs

    assert Path(layerscope.specs.__file__).is_relative_to(folder)
    plans = {}
    for edit in edits:
        shutil.rmtree(folder)
        shutil.copytree(finished, folder)
        os.chdir(folder)
        if not (child := os.fork()):
            try:
                EDITS[edit]()
                Path("plan.json").write_text(json.dumps(plan(ARGUMENTS.get(edit, []))))
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(child, 0)
        assert (folder / "plan.json").exists(), f"no plan after the edit: {edit}"
        plans[edit] = json.loads((folder / "plan.json").read_text())
    folder.with_suffix(".json").write_text(json.dumps(plans))


if __name__ == "__main__":
    make_plans(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
