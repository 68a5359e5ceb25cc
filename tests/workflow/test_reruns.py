"""Every edit of the table in docs/reruns.md plans the jobs that it declares; growing a sample equals a new run."""

import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planning import (
    CONFIG,
    MODELS,
    Plans,
    jobs_of,
    named,
    rows_of,
    rules_of,
    run_study,
    setting,
    settings,
)
from project import snakemake

from layerscope.config.sections import Extraction, Sampling, Summaries
from layerscope.studies.registry import STUDIES
from layerscope.workflow.fingerprint import code_fingerprint, module_file


def appended(path: str, text: str = "\nchanged = True\n") -> Callable[[], None]:
    def edit() -> None:
        with Path(path).open("a") as file:
            file.write(text)

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
    "models.NAME.tokenizer, and the model in no pair": every(
        setting("models.b.tokenizer", "other"), setting(f"{LENGTH}.pairs", [])
    ),
    "tokenizers.NAME.source": setting("tokenizers.mini.source", "resources/tokenizers/other"),
    "tokenizers.NAME.properties, with a column in summaries.properties": setting(
        "tokenizers.mini.properties", "resources/other_properties.csv"
    ),
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
    "a table of properties edited, with a column in summaries.properties": appended("resources/properties.csv", "\n"),
    "a local corpus edited": appended("resources/corpus/documents.jsonl", '{"text": "One more."}\n'),
    "the sentences edited": appended("resources/sentences_her.txt", "This is one more of her sentences, the last.\n"),
    "sampling.sequences, more": setting("sampling.sequences", 6),
    "sampling.sequences, fewer": setting("sampling.sequences", 2),
    "sampling.sequence_length": setting("sampling.sequence_length", 16),
    "sampling.sequences_per_shard": setting("sampling.sequences_per_shard", 4),
    "sampling.stored_sequences, fewer": setting("sampling.stored_sequences", 2),
    "sampling.stored_sequences_per_shard": setting("sampling.stored_sequences_per_shard", 1),
    "summaries.token_types": setting("summaries.token_types", 100),
    "summaries.properties": setting("summaries.properties", ["digit", "bytes"]),
    "activations, of a model that no study reads": setting(
        "activations", [{"models": ["c"], "corpus": "embedded", "store": ["resid_post"]}]
    ),
    "activations, a site stored of a model that studies read": setting(
        "activations", [{"models": ["b"], "corpus": "embedded", "store": ["resid_post"]}]
    ),
    "activations, a site summarized": setting(
        "activations", [{"models": ["b"], "corpus": "embedded", "summarize": ["mlp_post"]}]
    ),
    "extraction.device": setting("extraction.device", "cpu"),
    "extraction.dtype": setting("extraction.dtype", "bfloat16"),
    "extraction.batch_size": setting("extraction.batch_size", 1),
    "extraction.storage_dtype": setting("extraction.storage_dtype", "float16"),
    "extraction.compression": setting("extraction.compression", "lzf"),
    "a study added": add_study,
    "a study removed": setting(PATHS, None),
    "a new model in a study": setting(f"{LENGTH}.models", ["a", "b", "c"]),
    "a model of one study in another": setting(f"{PATHS}.models", ["a", "b"]),
    "a model removed, and its pair": every(setting(f"{LENGTH}.models", ["a"]), setting(f"{LENGTH}.pairs", [])),
    "studies.token_length.models in another order": setting(f"{LENGTH}.models", ["b", "a"]),
    "studies.token_length.corpus": setting(f"{LENGTH}.corpus", "other"),
    "studies.token_length.histogram_layer": setting(f"{LENGTH}.histogram_layer", 0),
    "studies.token_length.histogram_bins": setting(f"{LENGTH}.histogram_bins", 128),
    "studies.token_length.frequency_tokens": setting(f"{LENGTH}.frequency_tokens", 1000),
    "studies.token_length.frequency_covariate": setting(f"{LENGTH}.frequency_covariate", "line"),
    "studies.token_length.properties": setting(f"{LENGTH}.properties", ["digit", "log_frequency"]),
    "studies.token_length.properties, none": setting(f"{LENGTH}.properties", []),
    "studies.token_length.pairs": setting(f"{LENGTH}.pairs", [["b", "a"]]),
    "studies.token_length.resamples": setting(f"{LENGTH}.resamples", 150),
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
    "results, to another folder": setting("results", "results-pilot"),
    "the code of figures (studies/token_length/draw_r.py)": appended("src/layerscope/studies/token_length/draw_r.py"),
    "the script of all figures (draw.py)": appended("workflow/scripts/draw.py"),
    "the look of all figures (layerscope.mplstyle)": appended(
        "src/layerscope/layerscope.mplstyle", "lines.linewidth: 2\n"
    ),
    "the code of a statistic (studies/token_length/correlate_layer.py)": appended(
        "src/layerscope/studies/token_length/correlate_layer.py"
    ),
    "the code of the intervals (stats/jackknife.py)": appended("src/layerscope/stats/jackknife.py"),
    "a claim (studies/path_length/claims.py)": appended("src/layerscope/studies/path_length/claims.py"),
    "a helper of two studies (stats/correlation.py)": appended("src/layerscope/stats/correlation.py"),
    "the code of the extraction (model/hooks.py)": appended("src/layerscope/model/hooks.py"),
    "the writer of activation shards (extract/writer.py)": appended("src/layerscope/extract/writer.py"),
    "the code of encoding (tokenize/encoding.py)": appended("src/layerscope/tokenize/encoding.py"),
    "the code of tokenizing (tokenize/tokenize_shard.py)": appended("src/layerscope/tokenize/tokenize_shard.py"),
    "the page of the explorer (explorer/page/)": appended("src/layerscope/explorer/page/style.css"),
    "a caption, or the page of the report": every(
        appended("src/layerscope/studies/token_similarity/captions/cosines.rst", "More.\n"),
        appended("src/layerscope/report/page.html", "\n"),
    ),
    "comments, docstrings and layout of all code, scripts and rules": new_comments,
    "keys of the config in another order": write_reordered,
    "a default, or what follows from the models, written out": every(
        setting(f"{PATHS}.drop_first_token", True),
        setting("extraction.batch_size", "auto"),
        setting(f"{LENGTH}.histogram_layer", 1),  # the middle layer of both models
        setting(f"{SIMILARITY}.matrix_layer", 1),
    ),
    "threads (--set-threads) or memory (--set-resources)": lambda: None,  # ARGUMENTS
    "how many layers share a job (workflow/layer_jobs.py)": appended(
        "src/layerscope/workflow/layer_jobs.py", "\n\nJOB_VALUES = 1\n"
    ),
    "the date of every file of the project, in random order (a fresh checkout)": new_dates(
        ".", but=("results", ".snakemake")
    ),
    "the dates of all results, in random order": new_dates("results"),
    "the documentation": every(appended("docs/reruns.md"), appended("README.md"), appended("config/README.md")),
    "the project moved to another folder, results and .snakemake too": lambda: None,  # as every plan is made
}
ARGUMENTS = {
    "threads (--set-threads) or memory (--set-resources)": [
        *("--set-threads", "extract=1", "correlate_token_length=2"),
        *("--set-resources", "extract:mem_mb=1234", "extract_vectors:mem_mb=1234"),
    ]
}
# The value of the wildcard that a table's last column means, in the edits above.
OF_THESE: dict[str, Callable[[str, dict], bool]] = {
    "": lambda edit, wildcards: True,
    "all": lambda edit, wildcards: True,
    "the new shards": lambda edit, wildcards: wildcards["shard"] == "0002",
    "the shards that are no longer stored": lambda edit, wildcards: wildcards.get("shard", "0001") == "0001",
    "that tokenizer": lambda edit, wildcards: wildcards.get("tokenizer", "other") == "other",
    "that corpus": lambda edit, wildcards: wildcards["corpus"] == "other",
    "that model": lambda edit, wildcards: (
        wildcards["model"]
        == {
            "a new model in a study": "c",
            "activations, of a model that no study reads": "c",
            "studies.path_length.streams": "a",
        }.get(edit, "b")
    ),
}


# An edit → the rules that rerun, whether what follows them does too, and which of their jobs.
ROWS = {edit.replace("`", ""): (*rules_of(reruns), which) for edit, reruns, which in rows_of("docs/reruns.md", "Edits")}


@pytest.fixture(scope="module")
def plans(finished) -> Plans:
    """The plan after each edit."""
    return Plans(__file__, finished)


def test_every_row_has_an_edit():
    assert list(ROWS) == list(EDITS)


def test_every_key_of_a_section_has_a_row():
    """So that a setting that no spec has is found."""
    kinds = {"sampling": Sampling, "summaries": Summaries, "extraction": Extraction}
    kinds |= {f"studies.{name}": study.settings_type for name, study in STUDIES.items()}
    keys = [f"{section}.{key}" for section, kind in kinds.items() for key in kind.model_fields if key != "models"]
    assert len(keys) > 20
    assert [key for key in keys if not any(row.split(",")[0] == key for row in ROWS)] == []


@pytest.mark.parametrize("edit", ROWS)
def test_the_planned_jobs_are_the_declared_ones(plans, edit):
    rules, follow, which = ROWS[edit]
    jobs, planned = plans[edit]["jobs"], plans[edit]["planned"]
    declared = jobs_of(jobs, rules, follow, lambda job: OF_THESE[which](edit, job["wildcards"]))
    assert named(jobs, planned) == declared


def test_every_spec_has_the_fingerprint_of_the_code_that_its_job_runs(plans, project):
    """With that of another script, an edit would silently rerun nothing."""
    jobs = [job for job in plans["the documentation"]["jobs"] if job["rule"] != "all"]
    assert {job["script"] for job in jobs} >= {"draw.py", "extract.py", "report.py", "evaluate_path_length_claims.py"}
    for job in jobs:
        script = project / "workflow/scripts" / job["script"]
        for spec in job["spec"].values() if job["script"] == "draw.py" else [job["spec"]]:
            functions = [spec["function"]] if job["script"] == "draw.py" else spec.get("sections", {}).values()
            assert spec["code"] == code_fingerprint(script, *map(module_file, functions)), job["rule"]


def test_what_follows_is_what_reads(plans):
    """What follows is taken from the plan, so the order of the stages is declared here once more."""
    rows = plans["a default, or what follows from the models, written out"]["jobs"]
    reads = {job["rule"]: {rows[number]["rule"] for number in job["reads"]} for job in rows}
    assert reads["extract"] == {"fetch_model", "tokenize"} == reads["extract_paths"]
    assert (
        reads["correlate_token_length"]
        == {"extract", "summarize_stored", "vocabulary"}
        == reads["resample_token_length"]
    )
    assert reads["summarize_stored"] == {"extract", "tokenize", "count_tokens"}
    assert reads["resample_properties"] == reads["resample_token_length"]
    assert reads["vocabulary"] == {"tokenize", "count_tokens"}
    assert reads["count_tokens"] == {"encode_documents", "fetch_tokenizer"}
    assert reads["extract_vectors"] == {"fetch_model", "fetch_tokenizer"}
    assert reads["tokenize"] == {"encode_documents"}
    assert reads["encode_documents"] == {"resolve_corpus", "fetch_tokenizer"}
    drawn = {rule for rule in reads if rule.startswith("draw_")}
    assert drawn | {f"summarize_{study}" for study in CONFIG["studies"]} <= reads["report"]


@pytest.mark.parametrize(("storage_dtype", "stored"), [("float32", 2), ("float16", 0)])
def test_every_summary_is_made_by_one_rule(project, tmp_path, storage_dtype, stored):
    """Of what is stored, if that is a token shard as it was computed; else while the model runs."""
    sampling = {"sequences": 8, "sequences_per_shard": 2, "stored_sequences": 5, "stored_sequences_per_shard": 1}
    study = {"results": "results-of-no-run", "sampling": sampling, "extraction": {"storage_dtype": storage_dtype}}
    (tmp_path / "mixed.json").write_text(json.dumps(study))
    plan = snakemake(project, "-n", "--cores", "1", "--configfile", "config/config.yaml", str(tmp_path / "mixed.json"))
    assert plan.returncode == 0, plan.stderr[-3000:]
    text = plan.stdout + plan.stderr
    for model in ("neo-2m", "neo-8m", "neo-2m-random", "neo-8m-random"):
        for shard in range(4):
            of = f"of {model} on embedded: shard {shard:04d}"
            made = [text.count(f"Summarize {what} {of}") for what in ("stored activations", "activations")]
            assert made == [shard < stored, shard >= stored]


TABLES = [
    f"results/{table}.csv"
    for table in (
        "token_length/layers",
        "token_length/evidence",
        "token_length/properties",
        "token_length/matches",
        "path_length/layers",
        "claims",
    )
]


def test_another_folder_of_results_has_files_of_its_own(finished):
    folder = finished.parent / "pilot"
    shutil.copytree(finished, folder)
    (folder / "study.yaml").write_text(json.dumps({**CONFIG, "results": "results-pilot/first"}))
    table = "tokens/mini/embedded/vocabulary.parquet"
    run_study(folder, f"results-pilot/first/{table}")
    assert (folder / "results-pilot/first" / table).read_bytes() == (finished / "results" / table).read_bytes()
    assert list((folder / "results-pilot/first/logs/tokenize").rglob("*.log"))
    before, after = (
        {path.relative_to(study): path.stat().st_mtime_ns for path in (study / "results").rglob("*") if path.is_file()}
        for study in (finished, folder)
    )
    assert before == after


def test_growing_equals_a_run_from_scratch(finished):
    """Bit for bit, in the tables of both studies of a corpus."""
    grown, scratch = finished.parent / "grown", finished.parent / "scratch"
    shutil.copytree(finished, grown)
    shutil.copytree(finished, scratch, ignore=shutil.ignore_patterns("results", ".snakemake"))
    for folder in (grown, scratch):
        config = {**CONFIG, "sampling": {**CONFIG["sampling"], "sequences": 6}}
        (folder / "study.yaml").write_text(json.dumps(config))
        run_study(folder, *TABLES, "results/explorer/index.html")
    old = "results/activations/a/embedded/shard_0000.h5"
    assert (grown / old).stat().st_mtime_ns == (finished / old).stat().st_mtime_ns
    layers = [str(path.relative_to(grown)) for path in (grown / "results/token_length").glob("[ab]/*.parquet")]
    of_weights = [path for path in layers if Path(path).name.startswith(("weights", "logits"))]
    assert (len(layers), len(of_weights)) == (64, 8)
    shown = [str(path.relative_to(grown)) for path in (grown / "results/explorer").rglob("*.*")]
    for path in [*TABLES, *layers, *shown]:
        assert (grown / path).read_bytes() == (scratch / path).read_bytes(), path
    for path in {*TABLES, *layers} - {*of_weights}:
        assert (grown / path).read_bytes() != (finished / path).read_bytes(), path


@pytest.mark.slow
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
        run_study(folder, *TABLES)
        changed.append({path for path in paths if (folder / path).read_bytes() != (finished / path).read_bytes()})
    assert set(TABLES) < changed[0]
    assert not changed[1]
