"""The explorer of a finished study says what its tables say, and the page names no file that is not there."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explorer_data import NONE, read_script

import layerscope
from layerscope.read.run import Run
from layerscope.tokenize.token_shards import Tokens, read_token_shard

Files = dict[str, tuple[dict, dict[str, np.ndarray]]]


@pytest.fixture(scope="module")
def explorer(finished: Path) -> Path:
    return finished / "results/explorer"


@pytest.fixture(scope="module")
def manifest(explorer: Path) -> dict:
    page = (explorer / "index.html").read_text(encoding="utf-8")
    return json.loads(re.findall(r'<script type="application/json" id="manifest">(.*?)</script>', page, re.DOTALL)[0])


@pytest.fixture(scope="module")
def files(explorer: Path) -> Files:
    """Facts and arrays of each data file, by the name that the page asks for."""
    found: Files = {}
    for path in (explorer / "data").rglob("*.js"):
        name, facts, arrays = read_script(path)
        assert name == str(path.relative_to(explorer / "data").with_suffix(""))
        found[name] = facts, arrays
    return found


@pytest.fixture(scope="module")
def run(finished: Path) -> Run:
    return layerscope.open(finished / "results")


def test_the_page_asks_for_all_files_and_no_others(manifest: dict, files: Files) -> None:
    chunks = -(-4 * 32 // manifest["chunk_tokens"])
    expected = {f"tokens/mini/{chunk:05d}" for chunk in range(chunks)} | {"vocabulary/mini"}
    for model in manifest["models"]:
        expected |= {f"{model['name']}/columns/{column}" for column in model["columns"]}
        expected |= {f"{model['name']}/layer_{layer:02d}/00" for layer in range(model["layers"])}
    assert set(files) == expected


def test_models_are_those_of_the_study(manifest: dict, run: Run) -> None:
    named = {model["name"]: model for model in manifest["models"]}
    assert list(named) == ["a", "b"]
    assert [(model["matched"], model["tokenizer"], model["weights"]) for model in named.values()] == [
        ("b", "mini", "trained"),
        ("a", "mini", "trained"),
    ]
    for name, model in named.items():
        assert model["neurons"] == run.neurons(name).groupby("layer").size().tolist()
    assert manifest["tokenizers"]["mini"]["types"] == len(run.vocabulary("a"))
    assert (manifest["corpus"], manifest["sequence_length"]) == ("embedded", 32)


def as_float32(column: pd.Series) -> np.ndarray:
    return column.astype("float64").to_numpy(na_value=np.nan).astype(np.float32)


@pytest.mark.parametrize("model", ["a", "b"])
def test_statistics_are_those_of_all_neurons(manifest: dict, files: Files, run: Run, model: str) -> None:
    neurons = run.neurons(model)
    (of_model,) = (entry for entry in manifest["models"] if entry["name"] == model)
    for column in of_model["columns"]:
        values = files[f"{model}/columns/{column}"][1]["values"]
        np.testing.assert_array_equal(values, as_float32(neurons[column]), err_msg=column)
    assert {"r", "r_null_low", "norm_in"} <= set(of_model["columns"])
    assert not np.isnan(files[f"{model}/columns/r_null_low"][1]["values"]).all()
    for layer in run.layers(model):
        rows = neurons[neurons["layer"] == layer]
        statistics = files[f"{model}/layer_{layer:02d}/00"][1]["statistics"]
        for number, column in enumerate(manifest["columns"]):
            np.testing.assert_array_equal(
                statistics[:, number], as_float32(rows[column["name"]]), err_msg=column["name"]
            )


@pytest.mark.parametrize(("model", "other"), [("a", "b"), ("b", "a")])
def test_matches_are_those_of_either_model_of_the_pair(files: Files, run: Run, model: str, other: str) -> None:
    matches = run.matches(model)
    assert set(matches["other"]) == {other} and matches["r"].notna().any()
    for layer in run.layers(model):
        facts, arrays = files[f"{model}/layer_{layer:02d}/00"]
        rows = matches[matches["layer"] == layer]
        assert facts["matched"] == other
        for name in ("layer", "neuron"):
            assert arrays[f"match_{name}"].tolist() == rows[f"other_{name}"].fillna(-1).tolist()
        np.testing.assert_array_equal(arrays["match_r"], rows["r"].to_numpy(np.float32))


def test_chunks_are_the_token_shards(finished: Path, files: Files) -> None:
    shards = sorted((finished / "results/tokens/mini/embedded").glob("shard_*.h5"))
    tokens = Tokens.join(read_token_shard(path)[0] for path in shards)
    chunks = [files[name] for name in sorted(files) if name.startswith("tokens/mini/")]
    assert len(shards) == 2 and [facts["first"] for facts, _ in chunks] == [0]
    assert np.concatenate([arrays["input_ids"] for _, arrays in chunks]).tolist() == tokens.input_ids.tolist()
    assert np.concatenate([arrays["document"] for _, arrays in chunks]).tolist() == tokens.document.tolist()


@pytest.mark.parametrize("model", ["a", "b"])
def test_contexts_are_at_their_tokens(files: Files, run: Run, model: str) -> None:
    """Value, token and the activations around it, of every neuron; those that are stored against what is stored."""
    ids = files["tokens/mini/00000"][1]["input_ids"]
    for layer in run.layers(model):
        facts, arrays = files[f"{model}/layer_{layer:02d}/00"]
        table = run.table(f"token_length/{model}/contexts_{layer:02d}.parquet")
        stored = run.activation_array(model, layer)  # all tokens of this study are stored
        place, value = arrays["context_place"], arrays["context_value"]
        kinds = [(of["kind"], rank) for of in facts["contexts"] for rank in range(of["count"])]
        shown = {pair: number for number, pair in enumerate(kinds)}
        assert place.shape == (stored.shape[1], len(kinds))
        count = 0
        for row in table.itertuples():
            if (number := shown.get((row.kind, row.rank))) is not None:
                count += 1
                assert ids[place[row.neuron, number]] == row.token_id
                assert value[row.neuron, number] == np.float32(row.value)
        there = place != NONE
        assert count == there.sum()
        neuron, number = np.nonzero(there)
        at = place[there].astype(int)
        np.testing.assert_allclose(value[there], stored[at, neuron], rtol=1e-6)
        low, high = (arrays[f"window_{end}"][neuron] for end in ("low", "high"))
        for offset in range(-15, 6):
            code = arrays["context_window"][neuron, number, offset + 15].astype(float)
            inside = (at % 32 + offset >= 0) & (at % 32 + offset < 32)
            assert np.array_equal(code > 0, inside)
            decoded = low + (code - 1) / 254 * (high - low)
            of = stored[np.where(inside, at + offset, 0), neuron]
            assert (np.abs(decoded - of)[inside] <= ((high - low) / 500 + np.abs(of) / 1000)[inside]).all()


@pytest.mark.parametrize("model", ["a", "b"])
def test_token_types_and_logits_are_those_of_the_tables(files: Files, run: Run, model: str) -> None:
    for layer in run.layers(model):
        _, arrays = files[f"{model}/layer_{layer:02d}/00"]
        for neuron in range(0, len(arrays["statistics"]), 7):
            for name, largest in (("types_top", True), ("types_bottom", False)):
                top = run.top_tokens(model, layer, neuron, largest=largest)
                kept = arrays[name][neuron] != NONE
                assert arrays[name][neuron][kept].tolist() == top["token_id"].tolist()
                np.testing.assert_allclose(arrays[f"{name}_mean"][neuron][kept], top["mean"], rtol=3e-4)
        logits = run.table(f"token_length/{model}/logits_{layer:02d}.parquet")
        for kind, name in (("promoted", "logits_top"), ("suppressed", "logits_bottom")):
            rows = logits[logits["kind"] == kind].sort_values(["neuron", "rank"])
            assert arrays[name].ravel().tolist() == rows["token_id"].tolist()
            np.testing.assert_allclose(arrays[f"{name}_value"].ravel(), rows["logit"], rtol=3e-4)
