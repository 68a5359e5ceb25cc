"""What the key ``activations`` keeps of a model that no study reads, by a run without any study."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from plain_forward import Seen, difference, plain_pass
from project import PROJECT, STUDIES, link_project, snakemake
from scipy import stats
from tiny_models import LAYERS, save_tiny_model

import layerscope
from layerscope.io.errors import UserError
from layerscope.preflight.load import load_config
from layerscope.read.run import Run
from layerscope.summarize.summary_shards import read_layer_summary
from layerscope.workflow.announce import plan_size
from layerscope.workflow.costs import model_costs, summary_bytes
from layerscope.workflow.estimate import jobs_of_plan
from layerscope.workflow.model_size import ModelSize
from layerscope.workflow.resources import Needs
from layerscope.workflow.specs import Specs

SEQUENCES, LENGTH, STORED = 4, 32, 2
SAMPLING = {"sequences": SEQUENCES, "sequence_length": LENGTH, "sequences_per_shard": 2, "stored_sequences": STORED}
KEPT = {"models": ["gated"], "corpus": "embedded", "store": ["resid_post", "mlp_gate"]}
SUMMARIZED = ["resid_post", "mlp_up", "mlp_pre"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that keeps sites of a tiny Llama."""
    folder = tmp_path_factory.mktemp("activations")
    link_project(folder)
    save_tiny_model("llama", folder / "model", vocab_size=8192)
    config = {
        "models": {"gated": {"source": "model", "tokenizer": "mini", "layers": LAYERS["llama"]}},
        "sampling": SAMPLING,
        "studies": dict.fromkeys(STUDIES),
        "activations": [KEPT | {"summarize": SUMMARIZED}],
    }
    (folder / "study.yaml").write_text(json.dumps(config))
    run = snakemake(folder, "--configfile", "study.yaml", "--cores", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return layerscope.open(folder / "results")


@pytest.fixture(scope="module")
def plain(folder: Path, run: Run) -> list[Seen]:
    """Site → [sequences, length, width] of all tokens, by layer, from hooks of the test's own."""
    ids = np.array(run.tokens("gated")["token_id"]).reshape(SEQUENCES, LENGTH)
    return plain_pass({"path": str(folder / "model"), "model_type": "llama"}, ids)[0]


def test_a_run_without_a_study_ends_with_what_it_keeps(folder: Path) -> None:
    again = snakemake(folder, "--configfile", "study.yaml", "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    results = folder / "results"
    assert {path.name for path in results.iterdir() if not path.name.startswith(".")} == {
        *("activations", "activations.csv", "summaries"),
        *("documents", "logs", "sources", "tokens"),
    }
    summaries = {str(path.relative_to(results / "summaries")) for path in results.glob("summaries/**/*.h5")}
    places = ["gated/embedded", "gated/embedded/mlp_up", "gated/embedded/resid_post"]
    assert summaries == {f"{place}/shard_000{shard}.h5" for place in places for shard in (0, 1)}
    with h5py.File(results / "activations/gated/embedded/shard_0000.h5") as shard:
        assert set(shard) == {"tokens", "resid_post", "mlp_gate"}


@pytest.mark.parametrize(
    ("lost", "made"),
    [
        ("activations/gated/embedded/shard_0000.h5", {"extract"}),
        ("summaries/gated/embedded/mlp_up/shard_0001.h5", {"summarize"}),
        ("tokens/mini/embedded/vocabulary.parquet", {"vocabulary"}),
    ],
)
def test_what_is_kept_and_missing_is_made_again(folder: Path, lost: str, made: set[str]) -> None:
    path = folder / "results" / lost
    path.rename(folder / "lost")
    try:
        plan = snakemake(folder, "--configfile", "study.yaml", "--dry-run", "--quiet", "rules")
    finally:
        (folder / "lost").rename(path)
    assert made <= set(jobs_of_plan(plan.stdout)) <= made | {"list_activations", "summarize_stored"}


def test_summaries_are_made_of_what_is_stored_where_it_is(folder: Path) -> None:
    """``resid_post`` of the first token shard; the model runs for its second, and for the sites that are not stored."""
    logs = folder / "results/logs"
    of_rule = {
        rule: {str(path.relative_to(logs / rule)) for path in (logs / rule).rglob("*.log")}
        for rule in ("summarize", "summarize_stored")
    }
    assert of_rule["summarize_stored"] == {"gated/embedded/resid_post/shard_0000.log"}
    assert len(of_rule["summarize"]) == 5 and not of_rule["summarize"] & of_rule["summarize_stored"]


@pytest.mark.parametrize("site", KEPT["store"])
def test_stored_activations_equal_plain_hooks(run: Run, plain: list[Seen], site: str) -> None:
    for layer, sites in enumerate(plain):
        found = run.activation_array("gated", layer, site=site).reshape(STORED, LENGTH, -1)
        assert difference(found, sites[site][:STORED]) < 1e-5


@pytest.mark.parametrize("site", SUMMARIZED)
def test_summaries_equal_a_loop_over_tokens_in_float64(run: Run, plain: list[Seen], site: str) -> None:
    tokens = run.tokens("gated")
    takes_part = tokens["takes_part"].to_numpy()
    for layer, sites in enumerate(plain):
        values = sites[site].numpy().reshape(SEQUENCES * LENGTH, -1).astype(np.float64)
        kept, scale = values[takes_part], np.abs(values).max()
        table = run.summary("gated", layer, site)
        assert (table["tokens"] == len(kept)).all() and len(table) == kept.shape[1]
        expected = {
            "mean": kept.mean(axis=0),
            "std": kept.std(axis=0, ddof=1),
            "minimum": kept.min(axis=0),
            "maximum": kept.max(axis=0),
        }
        for name, numbers in expected.items():
            assert np.abs(table[name] - numbers).max() < 1e-5 * scale, (site, layer, name)
        assert np.abs(table["skewness"] - stats.skew(kept)).max() < 1e-3
        assert np.abs(table["kurtosis"] - stats.kurtosis(kept)).max() < 1e-3
        # Sums of single token types, and those by length.
        summary = read_layer_summary(run._folder.summaries("gated", site), layer, site=site)
        types, ids = len(run.vocabulary("gated")), tokens["token_id"].to_numpy()
        alone = 0
        for number, sums in zip(summary.tokens.classes, summary.neurons.class_sums, strict=True):
            if number < types:
                of_type = values[takes_part & (ids == number)]
                assert np.abs(sums + len(of_type) * summary.neurons.pilot - of_type.sum(axis=0)).max() < 1e-4 * scale
                alone += len(of_type)
        assert alone == len(kept)


def test_list_of_what_is_kept(folder: Path) -> None:
    table = pd.read_csv(folder / "results/activations.csv")
    (line,) = [part for part in FORMATS.split("\n\n") if "`activations.csv` has one row" in part]
    assert all(f"`{column}`" in line for column in table.columns)
    assert [tuple(row) for row in table[["site", "kept", "layers", "width", "tokens"]].to_numpy()] == [
        *((site, "stored", 3, width, STORED * LENGTH) for site, width in (("resid_post", 32), ("mlp_gate", 80))),
        *((site, "summarized", 3, 32 if site == "resid_post" else 80, SEQUENCES * LENGTH) for site in SUMMARIZED),
    ]
    assert {"gated", "mini", "embedded"} == {*table["model"], *table["tokenizer"], *table["corpus"]}
    shards = {"stored": 1, "summarized": 2}
    for row in table.itertuples():
        assert len(list((folder / "results").glob(row.files))) == row.shards == shards[row.kept]


FORMATS = (PROJECT / "docs/file-formats.md").read_text(encoding="utf-8")


def test_results_without_a_study_can_be_read(run: Run) -> None:
    assert (run.models, run.studies, run.corpus) == (["gated"], [], "embedded")
    assert run.sites("gated") == ["mlp_gate", "resid_post"]
    assert run.summarized_sites("gated") == ["mlp_pre", "mlp_up", "resid_post"]
    assert repr(run).startswith("layerscope run in ") and "no study; corpus embedded" in repr(run)
    assert list(run.vocabulary("gated")["corpus_count"].nlargest(1) > 100) == [True]
    with pytest.raises(UserError, match="has no site 'q'; it has mlp_pre, mlp_up, resid_post"):
        run.summary("gated", 0, "q")
    with pytest.raises(UserError, match="no token_length in it"):
        run.neurons()


def test_summary_of_another_site_is_not_taken_for_one_of_mlp_pre(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "summaries/gated/embedded/shard_0000.h5"
    moved.parent.mkdir(parents=True)
    shutil.copy(folder / "results/summaries/gated/embedded/mlp_up/shard_0000.h5", moved)
    with pytest.raises(UserError) as error:
        read_layer_summary([str(moved)], 0)
    assert str(error.value).startswith(f"{moved}: it is the summary of mlp_up, not of mlp_pre; delete it")
    moved = tmp_path / "summaries/gated/other/mlp_up/shard_0000.h5"
    moved.parent.mkdir(parents=True)
    shutil.copy(folder / "results/summaries/gated/embedded/mlp_up/shard_0000.h5", moved)
    with pytest.raises(UserError, match="holds what belongs in summaries/gated/embedded/mlp_up/"):
        read_layer_summary([str(moved)], 0, site="mlp_up")


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(PROJECT)
    return yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8"))


def specs_of(config: dict, folder: Path) -> Specs:
    return Specs(load_config(config), PROJECT / "workflow/scripts", folder / "digests.json")


def test_nothing_is_kept_by_default_and_what_is_changes_no_other_job(default: dict, tmp_path: Path) -> None:
    """Sites of a study come first, in its order; further ones in one order, whatever that of the config."""
    plain = specs_of(default, tmp_path)
    entries = [
        {"models": ["neo-2m"], "corpus": "embedded", "store": ["resid_post", "attn_out"], "summarize": ["mlp_post"]},
        {"models": ["neo-2m"], "corpus": "embedded", "store": ["mlp_pre", "mlp_post"]},
    ]
    first, last = (specs_of({**default, "activations": order}, tmp_path) for order in (entries, entries[::-1]))
    assert plain.sites("neo-2m", "embedded") == ["mlp_pre"] and plain.sites("neo-2m", "fineweb") == []
    assert {site for _, _, site in plain.summaries()} == {"mlp_pre"}
    assert first.sites("neo-2m", "embedded") == ["mlp_pre", "mlp_post", "attn_out", "resid_post"]
    assert first.extract("neo-2m", "embedded") == last.extract("neo-2m", "embedded")
    for specs in (first, last):
        assert specs.extract("neo-8m", "embedded") == plain.extract("neo-8m", "embedded")
        assert set(specs.summaries()) - set(plain.summaries()) == {("neo-2m", "embedded", "mlp_post")}
        of_specs: list[Callable[[Specs], object]] = [
            lambda of: of.summarize("neo-2m", "mlp_pre"),
            lambda of: of.summarize_stored("neo-2m", "mlp_pre"),
            lambda of: of.count_tokens(),
            lambda of: of.report(),
        ]
        assert all(of(specs) == of(plain) for of in of_specs)


def test_sites_of_studies_come_before_those_that_are_kept(default: dict, tmp_path: Path) -> None:
    """Else the shards of models with both would be made anew where nothing was added."""
    default["studies"]["path_length"]["streams"] = "stored"
    entry = {"models": ["neo-8m"], "corpus": "embedded", "store": ["mlp_post", "resid_pre"]}
    plain, kept = (specs_of({**default, "activations": of}, tmp_path) for of in ([], [entry]))
    of_studies = ["mlp_pre", "attn_out", "mlp_out", "resid_pre", "resid_post"]
    assert sorted(plain.sites("neo-8m", "embedded")) == sorted(of_studies)
    assert kept.sites("neo-8m", "embedded") == [*plain.sites("neo-8m", "embedded"), "mlp_post"]


def test_what_is_kept_counts_among_costs_and_jobs(default: dict) -> None:
    size = ModelSize(layers=2, hidden=8, mlp=32, weights_per_layer=768, embeddings=100)
    entry = {"models": ["neo-2m"], "corpus": "embedded", "store": ["resid_post"], "summarize": ["mlp_post", "q"]}
    base = {**default, "sampling": SAMPLING, "studies": {}}
    config = load_config({**base, "activations": [entry]})
    costs = model_costs(config, Needs(config, gpu=False), "neo-2m", size)
    assert [(of.rule, of.jobs) for of in costs.jobs] == [("extract", 1), ("summarize", 2), ("summarize", 2)]
    assert costs.bytes_of("extract") == STORED * LENGTH * 2 * 8 * 4
    assert costs.tokens == STORED * LENGTH + 2 * SEQUENCES * LENGTH
    of_tokens = summary_bytes(config, Needs(config, gpu=False), 0)
    wide, narrow = (of.bytes - of_tokens for of in costs.jobs if of.rule == "summarize")
    assert wide == pytest.approx(4 * narrow)  # neurons of the MLP, and dimensions of the stream's width
    assert plan_size(config, {})[0] == 2 * 1 + 1 * 1 + 2 * 2  # token shards, activation shards and summaries
    stored = load_config({**base, "activations": [{**entry, "store": ["q"]}]})
    of_stored = {of.rule: of.jobs for of in model_costs(stored, Needs(stored, gpu=False), "neo-2m", size).jobs}
    assert of_stored["summarize_stored"] == 1


def test_models_that_are_only_kept_are_checked_before_any_job(default: dict) -> None:
    kept = {"models": ["neo-8m"], "corpus": "embedded", "store": ["q"]}
    alone = {**default, "studies": {}, "activations": [kept]}
    assert [list(of.models) for of in load_config(alone).demands()] == [["neo-8m"]]
    default["models"]["neo-8m"]["layers"] = 5
    alone["sampling"] = {"sequence_length": 4096}
    with pytest.raises(UserError) as error:
        load_config(alone)
    assert str(error.value).splitlines() == [
        "config: models.neo-8m.layers: 5 is not what the model has; write layers: 8",
        "config: sampling.sequence_length: 4096 is longer than the 1024 positions of neo-8m; allowed are 2 to 1024",
    ]


def test_mistakes_elsewhere_hide_none_of_the_entries(default: dict) -> None:
    default["extraction"]["device"] = "gpu"
    default["activations"] = [
        {"models": ["neo-8m"], "corpus": "embedded", "store": ["mlp_up"]},
        {"models": ["neo-9m"], "corpus": 5, "store": "q"},
        {"corpus": "c4", "summarize": ["q"]},
    ]
    with pytest.raises(UserError) as error:
        load_config(default)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        *("extraction.device", "activations.1.corpus", "activations.1.store", "activations.2.models"),
        *("activations.1.models", "activations.2.corpus", "activations.0.store"),
    ]
