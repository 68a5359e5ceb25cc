"""Every deletion of the table in docs/cleaning-up.md plans the jobs that it declares; its commands do what it says."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from planning import CONFIG, Plans, jobs_of, named, rows_of, rules_of, run_study, setting
from project import PROJECT
from snakemake.utils import update_config

from layerscope.io.files import partial_file, read_json, seal_of, write_json
from layerscope.preflight.load import load_config
from layerscope.studies.study import RESULTS
from layerscope.workflow.specs import Specs

PAGE = "docs/cleaning-up.md"
REPORT = "results/report.html"
OTHER_SHARDS = "`results/activations/`, all other shards"
# What each row of the table deletes.
DELETED: dict[str, str] = {
    f"`{REPORT}`": REPORT,
    "`results/STUDY/figures/`": "results/STUDY/figures",
    "`results/explorer/index.html`": "results/explorer/index.html",
    "`results/explorer/data/`": "results/explorer/data",
    "`results/explorer/`, all of it": "results/explorer",
    "PDF files of figures": "results/*/figures/*.pdf",
    "`results/STUDY/layers.csv`": "results/STUDY/layers.csv",
    "`results/token_length/evidence.csv`": "results/token_length/evidence.csv",
    "`results/token_length/properties.csv`": "results/token_length/properties.csv",
    "`results/token_length/multimodality.csv`": "results/token_length/multimodality.csv",
    "`results/token_length/matches.csv`": "results/token_length/matches.csv",
    "`results/claims.csv`": "results/claims.csv",
    "`results/STUDY/claims.csv`": "results/STUDY/claims.csv",
    "`results/token_length/MODEL/`, tables of layers": "results/token_length/a",
    "`results/token_similarity/MODEL/`, tables of layers": "results/token_similarity/a/*.parquet",
    "`results/token_similarity/MODEL/vectors.h5`": "results/token_similarity/a/vectors.h5",
    "`results/path_length/MODEL/`": "results/path_length/a",
    "`results/activations/`, first shard of each model and corpus": "results/activations/*/*/shard_0000.*",
    OTHER_SHARDS: "results/activations/*/*/shard_0001.*",
    "`results/summaries/`": "results/summaries",
    "`results/tokens/`, token shards": "results/tokens/*/*/shard_*.h5",
    "`results/tokens/`, all of it": "results/tokens",
    "`results/documents/`": "results/documents",
    "`results/sources/`": "results/sources",
    "`results/`": "results",
    "`results/logs/`": "results/logs",
    "the hub's cache": "cache",
}
# The jobs that the table's last column means.
OF_THESE: dict[str, Callable[[str, dict], bool]] = {
    "": lambda study, job: True,
    "all": lambda study, job: True,
    "that study": lambda study, job: all(path.startswith(f"results/{study}/") for path in job["writes"]),
    "that model": lambda study, job: job["wildcards"]["model"] == "a",
    "the first shard": lambda study, job: job["wildcards"]["shard"] == "0000",
}
ROWS = {deleted: cells for deleted, *cells in rows_of(PAGE, "What can go")}
CASES = [(row, study) for row in ROWS for study in (CONFIG["studies"] if "STUDY" in row else [""])]
STATES = ["the report stands", "the report must be written"]


def delete(pattern: str) -> None:
    found = list(Path().glob(pattern))
    assert found, pattern
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def deletion(row: str, study: str, state: str) -> Callable[[], None]:
    def edit() -> None:
        delete(DELETED[row].replace("STUDY", study))
        if state != STATES[0]:
            Path(REPORT).unlink(missing_ok=True)

    return edit


def without_other_shards(change: Callable[[], None]) -> Callable[[], None]:
    def edit() -> None:
        delete(DELETED[OTHER_SHARDS])
        change()

    return edit


def edit_name(row: str, study: str, state: str) -> str:
    return f"{row} {study}: {state}"


RESAMPLES, HISTOGRAM, MATRIX = "another number of resamples", "another histogram layer", "another matrix layer"
EDITS: dict[str, Callable[[], None]] = {
    **{edit_name(*case, state): deletion(*case, state) for case in CASES for state in STATES},
    RESAMPLES: without_other_shards(setting("studies.token_length.resamples", 150)),
    HISTOGRAM: without_other_shards(setting("studies.token_length.histogram_layer", 0)),
    MATRIX: without_other_shards(setting("studies.token_similarity.matrix_layer", 0)),
}


@pytest.fixture(scope="module")
def from_hub(finished) -> Path:
    """The finished study as if its sources were on the hub, with a cache: local ones have none."""
    folder = finished.parent / "from_hub"
    shutil.copytree(finished, folder)
    config = json.loads((folder / "study.yaml").read_text())
    config["models"]["a"]["source"] = "owner/model"
    config["tokenizers"]["mini"]["source"] = "owner/tokenizer"
    config["corpora"]["embedded"] = {"source": "owner/corpus"}
    (folder / "study.yaml").write_text(json.dumps(config))
    (folder / "resources/models/a").rename(folder / "cache")
    whole = yaml.safe_load((folder / "config/config.yaml").read_text())
    update_config(whole, config)
    with contextlib.chdir(folder):
        specs = Specs(load_config(whole), folder / "workflow/scripts", folder / "digests.json")
        for record in list((folder / "results/sources").glob("*/*/*.json")):
            record.rename(folder / specs.record(*record.parts[-3:-1]).replace(RESULTS, "results"))
        record = folder / specs.record("models", "a").replace(RESULTS, "results")
    write_json(record, {**read_json(record), "path": "cache"})
    run_study(folder, "--touch")  # all files count as made with these settings
    return folder


@pytest.fixture(scope="module")
def plans(from_hub) -> Plans:
    """The plan after each deletion."""
    return Plans(__file__, from_hub)


def test_every_row_has_a_deletion():
    assert list(ROWS) == list(DELETED)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("row", "study"), CASES)
def test_the_next_run_makes_what_is_declared(plans, row, study, state):
    made = plans[edit_name(row, study, state)]
    cell, which = ROWS[row][STATES.index(state)], ROWS[row][-1]
    assert re.match("nothing|everything|`", cell)
    rules, follow = rules_of(cell.replace("STUDY", study))
    if cell == "everything":
        rules = {"*"}
    declared = jobs_of(made["jobs"], rules, follow, lambda job: OF_THESE[which](study, job))
    if state != STATES[0]:
        declared = sorted({"report", *declared})
    assert named(made["jobs"], made["planned"]) == declared


def test_a_job_that_needs_deleted_shards_has_them_extracted_again(plans):
    jobs, planned = plans[RESAMPLES]["jobs"], plans[RESAMPLES]["planned"]
    again = jobs_of(jobs, {"extract"}, True, lambda job: job["wildcards"]["shard"] == "0001")
    assert {"extract a embedded 0001", "extract b embedded 0001"} <= set(again)
    simulated = jobs_of(jobs, {"simulate_dip_power"}, True, lambda _: True)  # resamples too, but reads no shard
    assert named(jobs, planned) == sorted({*again, *simulated})
    assert {"resample_token_length", "test_unimodality"} <= {jobs[number]["rule"] for number in planned}


@pytest.mark.parametrize(
    ("edit", "rule"),
    [(HISTOGRAM, "draw_token_length"), (MATRIX, "draw_token_similarity")],
)
def test_a_setting_of_a_figure_reads_no_shard(plans, edit, rule):
    jobs, planned = plans[edit]["jobs"], plans[edit]["planned"]
    assert {jobs[number]["rule"] for number in planned} == {rule, "report"}


def commands(start: str) -> list[str]:
    """The commands of the page that begin so."""
    return re.findall(rf"(?:`|^    )({start}[^`\n]+)", (PROJECT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)


def files(folder: Path) -> dict[str, int]:
    """All results, with their dates; not logs and the lock, which every run writes, nor dates of folders."""
    of_snakemake = (".lock", ".snakemake_timestamp")
    paths = [path for path in (folder / "results").rglob("*") if path.is_file() and path.name not in of_snakemake]
    paths = [path for path in paths if not path.is_relative_to(folder / "results/logs")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in paths}


def test_a_deleted_file_that_is_named_is_made_again_and_nothing_else(finished):
    (command,) = commands("snakemake --cores ")
    target = command.split()[-1]
    folder = finished.parent / "named"
    shutil.copytree(finished, folder)
    (folder / target).unlink()
    run_study(folder, target)
    assert (folder / target).read_bytes() == (finished / target).read_bytes()
    before, after = files(finished), files(folder)
    assert {path for path in after if after[path] != before[path]} == {target, str(seal_of(target))}
    assert set(after) == set(before)


def test_the_commands_delete_what_is_said_and_nothing_else(finished):
    shards, partial = commands("find ")
    folder = finished.parent / "found"
    shutil.copytree(finished / "results", folder / "results")
    whole = set(files(folder))
    for path in sorted(whole):
        partial_file(folder / path).touch()
    left = set(files(folder)) - whole
    assert len(left) == len(whole)
    subprocess.run(shlex.split(shards), cwd=folder, check=True)
    other = {f"results/activations/{model}/embedded/shard_0001.h5" for model in "ab"}
    assert set(files(folder)) == (whole - other) | left
    subprocess.run(shlex.split(partial), cwd=folder, check=True)
    assert set(files(folder)) == whole - other
