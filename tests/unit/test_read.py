"""What ``layerscope.open`` gives is what is in the files, by name; and what cannot be given is said in one line."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from results_folder import EFFECTIVE, LENGTH, NEURONS, SEQUENCES, Made, make_results, window_of
from scipy.stats import norm, t

import layerscope
from layerscope.io.errors import UserError
from layerscope.io.tables import write_csv, write_table
from layerscope.read.run import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_results(tmp_path_factory.mktemp("made") / "results")


@pytest.fixture(scope="module")
def run(made: Made) -> Run:
    return layerscope.open(made.path)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A copy of the folder, to be changed."""
    return Path(shutil.copytree(made.path, tmp_path / "results"))


def test_importing_layerscope_is_cheap() -> None:
    """Every job does it."""
    code = "import sys, layerscope; print({'numpy', 'pandas', 'h5py', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_reading_imports_no_torch(made: Made) -> None:
    code = (
        "import sys, layerscope; run = layerscope.open(sys.argv[1]); run.activations('m', 1, 3); run.neurons('m'); "
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(made.path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_explorer_and_report_read_their_tables_as_it_does() -> None:
    """By read/tables.py alone; from io they import nothing that reads a table."""
    package = Path(layerscope.__file__).parent
    scripts = package.parents[1] / "workflow/scripts"
    modules = [*package.glob("report/*.py"), *package.glob("explorer/*.py"), *package.glob("studies/*/section.py")]
    modules += [scripts / "report.py", *scripts.glob("write_explorer*.py")]
    assert len(modules) > 20
    for module in modules:
        imported = re.findall(r"^from layerscope\.io\.(?:tables|files) import (.*)$", module.read_text(), re.MULTILINE)
        assert not {"read_csv", "read_table", "check_seal"} & set(re.findall(r"\w+", " ".join(imported))), module
    readers = [module.stem for module in modules if "import table_of" in module.read_text()]
    assert {"section", "claims", "write_explorer_neurons", "write_explorer_columns"} <= set(readers)


def test_what_a_run_holds(run: Run) -> None:
    assert (run.models, run.studies, run.corpus) == (["m", "n"], ["token_length"], "c")
    assert (run.layers("n"), run.sites("m")) == ([0, 1, 2], ["mlp_pre"])
    assert repr(run) == (
        f"layerscope run in {run.path}: token_length; corpus c\n"
        "  m: 2 layers, stored mlp_pre\n  n: 3 layers, stored mlp_pre"
    )


def test_a_run_without_its_report_is_said_to_be_unfinished(copy: Path) -> None:
    (copy / "report.html").unlink()
    shutil.rmtree(copy / "activations")
    assert repr(layerscope.open(copy)).splitlines()[:2] == [
        f"layerscope run in {copy}, not finished: token_length; corpus c",
        "  m: 2 layers",
    ]


@pytest.mark.parametrize("neuron", [17, np.int64(299), 0])
def test_activations_of_a_neuron_are_those_of_the_files(made: Made, run: Run, neuron: int) -> None:
    """But for the shard that another run left."""
    table = run.activations("m", layer=1, neuron=neuron)
    files = [made.path / f"activations/m/c/shard_{shard:04d}.h5" for shard in range(2)]
    expected: dict[str, list[np.ndarray]] = {"activation": []}
    for path in files:
        with h5py.File(path) as file:
            expected["activation"].append(file["mlp_pre/layer_01"][:, neuron])
            for name in ("sequence", "position", "document", "input_ids"):
                expected.setdefault(name, []).append(file[f"tokens/{name}"][:])
    for name, parts in expected.items():
        np.testing.assert_array_equal(table["token_id" if name == "input_ids" else name], np.concatenate(parts))
    assert list(table["text"]) == [f" w{token}" for token in table["token_id"]]
    assert list(table["takes_part"]) == [token > 1 for token in table["token_id"]]
    columns = ["sequence", "position", "document", "token_id", "text", "takes_part", "activation"]
    assert list(table) == columns and table["activation"].dtype == np.float32


@pytest.mark.parametrize("neurons", [[299, 3, 256, 255, 3], np.array([5]), None])
def test_activations_of_several_neurons_have_a_column_each(made: Made, run: Run, neurons: list[int] | None) -> None:
    expected = made.activations["n", 2] if neurons is None else made.activations["n", 2][:, neurons]
    table = run.activations("n", 2, neurons)
    assert list(table)[6:] == list(range(NEURONS) if neurons is None else neurons)
    np.testing.assert_array_equal(table.iloc[:, 6:], expected)
    np.testing.assert_array_equal(run.activation_array("n", 2, neurons), expected)


def test_one_neuron_is_read_without_the_others(made: Made, copy: Path) -> None:
    """After the first time, which finds values that another program changed."""
    run = layerscope.open(copy)
    run.activations("m", 0, 1)
    path = copy / "activations/m/c/shard_0000.h5"
    change(path, "mlp_pre/layer_00", 299)
    with pytest.raises(UserError, match=r"shard_0000.h5: mlp_pre/layer_00 differs from what was written"):
        run.activations("m", 0, 1)
    reader = layerscope.open(made.path)
    first = reader.activations("m", 1, 4)
    rows: list[tuple[int, int]] = []
    original = h5py.Dataset.__getitem__

    def counted(dataset: h5py.Dataset, key: object) -> np.ndarray:
        values = original(dataset, key)
        if dataset.name.startswith("/mlp_pre"):
            rows.append(values.shape)
        return values

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py.Dataset, "__getitem__", counted)
        pd.testing.assert_frame_equal(reader.activations("m", 1, 4), first)
    assert rows == [(SEQUENCES * LENGTH, 1)] * 2


def change(path: Path, name: str, neuron: int) -> None:
    """Change one value, as a program would: HDF5's checksums then fit."""
    with h5py.File(path, "r+") as file:
        file[name][3, neuron] += 1


def joined(made: Made, model: str, layer: int) -> pd.DataFrame:
    """Tables of neurons, joined by hand."""
    table = pd.DataFrame({"neuron": np.arange(NEURONS)})
    for kind in ("layer", "inference", "dip", "weights"):
        path = made.path / f"token_length/{model}/{kind}_{layer:02d}.parquet"
        table = table.merge(pd.read_parquet(path), on="neuron") if path.exists() else table
    for measure in EFFECTIVE:
        half = t.ppf(0.975, EFFECTIVE[measure] - 1) * table[f"{measure}_std_error"]
        table[f"{measure}_low"], table[f"{measure}_high"] = table[measure] - half, table[measure] + half
    table["r_null_high"] = norm.ppf(0.975) * table["r_null_error"]
    table["r_null_low"] = -table["r_null_high"]
    populations = ("tokens", "short_tokens", "types", "short_types")
    table = table.rename(columns={f"p_{population}": f"p_dip_{population}" for population in populations})
    return table.assign(model=model, layer=layer, relative_depth=layer / {"m": 1, "n": 2}[model])


@pytest.mark.parametrize(("model", "layer"), [("m", 0), ("m", 1), ("n", 2)])
def test_neurons_are_the_tables_joined(made: Made, run: Run, model: str, layer: int) -> None:
    table, expected = run.neurons(model, layer), joined(made, model, layer)
    without = [name for name in table if name.startswith("match_") or name not in expected]
    given = [name for name in table if name not in without]
    pd.testing.assert_frame_equal(table[given], expected[given], check_dtype=False)
    left = {"r_std_error", "r_types_std_error", "r_null_error", "r_pearson"}
    assert set(expected) - set(given) == left
    if model == "n":  # it has no tables of weights
        assert table["norm_in"].isna().all()


def test_neurons_of_all_models_follow_each_other(run: Run) -> None:
    table = run.neurons()
    parts = [run.neurons(model, layer) for model in run.models for layer in run.layers(model)]
    pd.testing.assert_frame_equal(table, pd.concat(parts, ignore_index=True))
    pd.testing.assert_frame_equal(run.neurons("n"), table[table["model"] == "n"].reset_index(drop=True))


def test_a_null_that_is_in_no_table_is_missing(copy: Path) -> None:
    path = copy / "token_length/m/inference_00.parquet"
    table = pd.read_parquet(path).drop(columns="r_null_error")
    table.attrs = {}
    write_table(path, table)
    neurons = layerscope.open(copy).neurons("m", 0)
    assert neurons[["r_null_low", "r_null_high"]].isna().all(axis=None) and neurons["r_low"].notna().all()


def test_matches_are_the_best_of_all_layers(made: Made, run: Run) -> None:
    tables = [pd.read_parquet(made.path / f"token_length/m/matches_n_{layer:02d}.parquet") for layer in range(3)]
    found = run.matches("m")
    for row in (0, 5, 599):
        best = max(tables, key=lambda table, row=row: table["r"][row]).loc[row]
        match = found.loc[row]
        assert (match["model"], match["other"]) == ("m", "n")
        for name in ("layer", "neuron", "other_layer", "other_neuron", "r"):
            assert match[name] == best[name]
        rotated = [max(table[f"r_rotated_{number}"][row] for table in tables) for number in range(5)]
        assert match["r_rotated"] == pytest.approx(np.mean(rotated))
    assert found.loc[7, ["other_layer", "other_neuron", "r", "r_rotated"]].isna().all()
    neurons = run.neurons("m")
    for name, of_match in {"match_layer": "other_layer", "match_neuron": "other_neuron", "match_r": "r"}.items():
        pd.testing.assert_series_equal(neurons[name], found[of_match], check_names=False)
    assert set(neurons["match_model"]) == {"n"}


def test_matches_of_the_second_model_of_a_pair(made: Made, run: Run) -> None:
    tables = [pd.read_parquet(made.path / f"token_length/n/best_in_m_{layer:02d}.parquet") for layer in range(3)]
    expected, found = pd.concat(tables, ignore_index=True), run.matches("n")
    assert set(found["model"]) == {"n"} and set(found["other"]) == {"m"} and found["r_rotated"].isna().all()
    never = expected["other_layer"] == -1
    assert never.sum() == 3 and found.loc[never, ["other_layer", "other_neuron", "r"]].isna().all(axis=None)
    for name in ("layer", "neuron", "other_layer", "other_neuron", "r"):
        assert found.loc[~never, name].tolist() == expected.loc[~never, name].tolist()
    neurons = run.neurons("n", 1)
    assert neurons["match_neuron"].equals(found.loc[found["layer"] == 1, "other_neuron"].reset_index(drop=True))
    assert set(neurons["match_model"]) == {"m"}


def test_a_model_in_no_pair_has_no_matches(copy: Path) -> None:
    for path in copy.glob("token_length/n/best_in_*"):
        path.unlink()
    run = layerscope.open(copy)
    matches = ["match_layer", "match_neuron", "match_r", "match_model"]
    assert run.neurons("n")[matches].isna().all(axis=None)
    with pytest.raises(UserError, match=r": no matches of n; it is in no pair of studies\.token_length\.pairs$"):
        run.matches("n")


@pytest.mark.parametrize("largest", [True, False])
def test_top_tokens_are_those_of_the_stored_activations(made: Made, run: Run, largest: bool) -> None:
    stored = run.activations("m", 0, 9)
    groups = stored[stored["takes_part"]].groupby("token_id")["activation"]
    means = groups.mean()[groups.size() >= 5].sort_values(ascending=not largest)[:4]
    table = run.top_tokens("m", 0, 9, n=4, largest=largest)
    assert list(table) == ["token_id", "text", "tokens", "mean"]
    assert list(table["token_id"]) == list(means.index)
    assert list(table["text"]) == [f" w{token}" for token in means.index]
    assert list(table["tokens"]) == list(groups.size()[means.index])
    np.testing.assert_allclose(table["mean"], means, rtol=1e-5)


@pytest.mark.parametrize(("promoted", "kind"), [(True, "promoted"), (False, "suppressed")])
def test_promoted_tokens_are_those_of_the_table(made: Made, run: Run, promoted: bool, kind: str) -> None:
    table = pd.read_parquet(made.path / "token_length/m/logits_01.parquet").query("neuron == 8 and kind == @kind")
    found = run.promoted_tokens("m", 1, 8, n=3, promoted=promoted)
    assert list(found) == ["token_id", "text", "logit"]
    assert list(found["logit"]) == [table.set_index("rank")["logit"][rank] for rank in range(3)]
    assert list(found["text"]) == [f" w{token}" for token in found["token_id"]]


def test_contexts_have_the_text_around_them(made: Made, run: Run) -> None:
    """Within the sequence, at most 15 tokens before and 5 after."""
    words = [f" w{token}" for token in made.tokens.input_ids]
    table = run.contexts("m", 1)
    assert len(table) == 3 * NEURONS
    for row in table.itertuples():
        place, start = row.sequence * LENGTH + row.position, row.sequence * LENGTH
        assert row.before == "".join(words[max(start, place - 15) : place])
        assert row.text == words[place]
        assert row.after == "".join(words[place + 1 : min(start + LENGTH, place + 6)])
        assert row.document == place // 50
    assert list(table.loc[table["neuron"] == 0, "after"])[::2] == ["", ""]
    assert table["before"][1] == ""
    pd.testing.assert_frame_equal(run.contexts("m", 1, 4), table[table["neuron"] == 4].reset_index(drop=True))
    np.testing.assert_array_equal(np.stack(run.contexts("m", 1)["window"]), window_of(3 * NEURONS))
    least = run.contexts("m", 1, [8, 4], kind="least")
    assert list(zip(least["neuron"], least["kind"], strict=True)) == [(4, "least"), (8, "least")]


def test_contexts_of_another_corpus_are_refused(copy: Path) -> None:
    path = copy / "token_length/m/contexts_00.parquet"
    table = pd.read_parquet(path)
    table.attrs = {}
    table = table.drop(columns="window")
    for changed in (table.assign(token_id=table["token_id"] + 1), table.assign(sequence=table["sequence"] + 100)):
        write_table(path, changed)
        with pytest.raises(UserError, match=r"tokens/t/c/shard_0000.h5: not the tokens of these contexts"):
            layerscope.open(copy).contexts("m", 0, 0)


def test_tokens_are_those_of_all_shards(made: Made, run: Run) -> None:
    table = run.tokens("n")
    for name in ("sequence", "position", "document"):
        np.testing.assert_array_equal(table[name], getattr(made.tokens, name))
    np.testing.assert_array_equal(table["token_id"], made.tokens.input_ids)
    pd.testing.assert_frame_equal(table[: 2 * SEQUENCES * LENGTH], run.activations("m", 0, [])[list(table)])


def test_tables_by_name(made: Made, run: Run) -> None:
    assert "token_length/m/by_length_01.parquet" in run.tables() and "token_length/layers.csv" in run.tables()
    assert len(run.tables()) == len({*run.tables()}) and not any(".xxh3" in name for name in run.tables())
    pd.testing.assert_frame_equal(
        run.table("token_length/layers.csv"), pd.read_csv(made.path / "token_length/layers.csv")
    )
    assert len(run.by_length("m", 0)) == 2 * NEURONS
    assert list(run.by_length("m", 0, 5)["neuron"]) == [5, 5]
    assert list(run.histogram("m", 0, 299)["left"]) == list(range(40))
    vocabulary = run.vocabulary("m")
    pd.testing.assert_frame_equal(vocabulary, made.vocabulary)
    vocabulary["text"] = "changed"
    assert list(run.vocabulary("m")["text"]) == list(made.vocabulary["text"])


WRONG: dict[str, tuple[Callable[[Run], object], str]] = {
    "model": (lambda run: run.layers("x"), "model: RESULTS has no model 'x'; it has m, n"),
    "model of neurons": (lambda run: run.neurons("x"), "model: RESULTS has no model 'x'; it has m, n"),
    "layer": (lambda run: run.neurons("m", 2), "layer: m has no layer 2; it has 0 to 1"),
    "layer below zero": (lambda run: run.activations("m", -1, 0), "layer: m has no layer -1; it has 0 to 1"),
    "layer, a text": (lambda run: run.contexts("m", "1"), "layer: m has no layer '1'; it has 0 to 1"),
    "layer of no model": (lambda run: run.neurons(layer=1), "layer: 1 is of no model; name one, such as m"),
    "neuron": (lambda run: run.activations("m", 0, 300), "neuron: layer 0 of m has no neuron 300; it has 0 to 299"),
    "neurons": (
        lambda run: run.activations("m", 0, [1, 1.5]),
        "neuron: layer 0 of m has no neuron 1.5; it has 0 to 299",
    ),
    "neuron of a table": (
        lambda run: run.contexts("m", 0, 300),
        "neuron: layer 0 of m has no neuron 300; it has 0 to 299",
    ),
    "site": (
        lambda run: run.activations("m", 0, 0, site="q"),
        "site: RESULTS/activations of m has no site 'q'; it has mlp_pre",
    ),
    "n": (
        lambda run: run.top_tokens("m", 0, 0, n=11),
        "n: a run keeps 10 token types of each end, so give 1 to 10, not 11",
    ),
    "neurons, where it is one": (
        lambda run: run.top_tokens("m", 0, [1, 2]),
        "neuron: layer 0 of m has no neuron [1, 2]; it has 0 to 299",
    ),
    "kind": (
        lambda run: run.contexts("m", 0, 0, kind="top"),
        "kind: contexts has no kind 'top'; it has most, least, random",
    ),
    "table": (
        lambda run: run.table("token_length/x.csv"),
        "RESULTS/token_length/x.csv: no such table; run.tables() lists those that are there",
    ),
    "no table": (
        lambda run: run.table("report.html"),
        "RESULTS/report.html: not a table; name a .csv or a .parquet, one of run.tables()",
    ),
    "folder": (
        lambda run: layerscope.open(run.path / "x"),
        "RESULTS/x: no such folder; name the folder of results of a run, such as results",
    ),
    "no folder of results": (
        lambda run: layerscope.open(run.path / "tokens"),
        "RESULTS/tokens: not a folder of results: it has no STUDY/layers.csv; name that of a run",
    ),
    "corpus": (lambda run: layerscope.open(run.path, corpus="d"), "corpus: RESULTS has no corpus 'd'; it has c"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(run: Run, name: str) -> None:
    call, line = WRONG[name]
    with pytest.raises(UserError) as error:
        call(run)
    assert str(error.value).replace(str(run.path), "RESULTS") == line


LEFT_OUT: dict[str, tuple[str, Callable[[Run], object], str]] = {
    "token types": (
        "token_length/m/token_types_00.parquet",
        lambda run: run.top_tokens("m", 0, 0),
        "RESULTS/token_length/m/token_types_00.parquet: no such table; run the workflow with studies.token_length",
    ),
    "inference": (
        "token_length/m/inference_01.parquet",
        lambda run: run.neurons("m"),
        "RESULTS/token_length/m/inference_01.parquet: no such table; run the workflow with studies.token_length",
    ),
    "activations": (
        "activations",
        lambda run: run.activations("m", 0, 0),
        "RESULTS/activations/m/c: no stored activations of this sample; to have them again, run snakemake --cores 8 "
        "results/activations/m/c/shard_0000.h5",
    ),
    "all that is finished": (
        "token_length",
        lambda run: layerscope.open(run.path),
        "RESULTS: no study has ended in it; let snakemake run to the end, or resume it",
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_missing_is_said_in_one_line(copy: Path, name: str) -> None:
    removed, call, line = LEFT_OUT[name]
    run = layerscope.open(copy)
    path = copy / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError) as error:
        call(run)
    assert str(error.value).replace(str(copy), "RESULTS") == line


def test_text_is_read_where_activations_were_deleted(made: Made, copy: Path) -> None:
    shutil.rmtree(copy / "activations")
    run = layerscope.open(copy)
    pd.testing.assert_frame_equal(run.contexts("m", 0), layerscope.open(made.path).contexts("m", 0))
    assert run.sites("m") == []


def test_of_several_corpora_one_is_chosen(copy: Path) -> None:
    shutil.copytree(copy / "tokens/t/c", copy / "tokens/t/d")
    with pytest.raises(UserError, match="tokens of several corpora, c, d; choose one, as in "):
        layerscope.open(copy)
    assert layerscope.open(copy, corpus="c").contexts("m", 0).shape == (3 * NEURONS, 12)


def test_models_of_other_studies_are_there_and_have_no_neurons(copy: Path) -> None:
    write_csv(copy / "path_length/layers.csv", pd.DataFrame({"model": "p", "layer": range(4)}))
    run = layerscope.open(copy)
    assert (run.models, run.studies, run.layers("p")) == (
        ["m", "n", "p"],
        ["token_length", "path_length"],
        [0, 1, 2, 3],
    )
    assert set(run.neurons()["model"]) == {"m", "n"}
    with pytest.raises(UserError, match=r"no token_length of p; name it in studies.token_length.models and run"):
        run.neurons("p")


def test_damage_is_found(copy: Path) -> None:
    path = copy / "token_length/m/layer_00.parquet"
    table = pd.read_parquet(path)
    attributes = table.attrs
    table.loc[0, "mean"] += 1
    table.attrs = attributes
    table.to_parquet(path)
    with pytest.raises(UserError, match=r"layer_00.parquet: its values differ from those that were written"):
        layerscope.open(copy).neurons("m", 0)
