"""The default study: what it was estimated to cost, and contexts of all its neurons, by what it wrote."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import snakemake

import layerscope
from layerscope.io.tables import read_table, rows_of
from layerscope.summarize.neuron_sums import AFTER, BEFORE
from layerscope.summarize.neuron_sums import CONTEXTS as MOST

LENGTH = 256  # tokens of a sequence
MEGABYTES = re.compile(r"([\d.,]+) (MB|GB)")


def test_estimate_is_right(default_results: Path) -> None:
    folder = default_results.parent
    estimated = snakemake(folder, "--cores", "1", "estimate")
    assert estimated.returncode == 0, estimated.stderr
    rows = [line.split("  ") for line in estimated.stdout.splitlines()]
    models = {row[0]: [cell.strip() for cell in row if cell.strip()] for row in rows if row[0].startswith("neo-")}
    assert set(models) == {"neo-2m", "neo-8m", "neo-2m-random", "neo-8m-random"}
    [together] = re.findall(r"together .* ([\d.]+ [MG]B) on the disk", estimated.stdout)
    # There may be files of other settings.
    written = snakemake(folder, "--summary").stdout.splitlines()[1:]
    files = [path for line in written for path in of_results(folder / line.split("\t")[0])]
    assert megabytes(together) == pytest.approx(sum(path.stat().st_size for path in files) / 1e6, rel=0.05)
    for model, row in models.items():
        for kind, at in (("activations", 4), ("summaries", 5)):
            [shard] = folder.glob(f"results/{kind}/{model}/*/shard_0000.h5")
            assert megabytes(row[at]) == pytest.approx(shard.stat().st_size / 1e6, rel=0.05), (model, kind)
    [memory] = re.findall(r"largest job: \w+ of \S+, ([\d.]+ [MG]B) of memory", estimated.stdout)
    jobs = (folder / f"results/logs/{rule}" for rule in ("extract", "extract_paths", "describe_weights"))
    taken = [pd.read_csv(path, sep="\t")["max_rss"].max() for of in jobs for path in of.rglob("*.benchmark.tsv")]
    assert megabytes(memory) == pytest.approx(max(taken) * 2**20 / 1e6, rel=0.3)


def of_results(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def megabytes(text: str) -> float:
    number, unit = MEGABYTES.fullmatch(text).groups()
    return float(number.replace(",", "")) * (1000 if unit == "GB" else 1)


def test_contexts_are_those_of_a_search_of_all_activations(default_results: Path) -> None:
    run = layerscope.open(default_results)
    for model in run.models:
        takes_part = run.tokens(model)["takes_part"].to_numpy()
        for layer in run.layers(model):
            values = run.activation_array(model, layer)
            contexts = read_table(default_results / f"token_length/{model}/contexts_{layer:02d}.parquet")
            place = (contexts["sequence"] * LENGTH + contexts["position"]).to_numpy()
            neuron = contexts["neuron"].to_numpy()
            np.testing.assert_array_equal(contexts["value"], values[place, neuron])
            around = place[:, None] + np.arange(-BEFORE, AFTER + 1)
            inside = around // LENGTH == (place // LENGTH)[:, None]
            expected = values[np.where(inside, around, 0), neuron[:, None]].astype(np.float16)
            np.testing.assert_array_equal(rows_of(contexts["window"]), np.where(inside, expected, np.float16("nan")))
            ordered = np.sort(values[takes_part], axis=0)
            for kind, extremes in (("most", ordered[: -MOST - 1 : -1]), ("least", ordered[:MOST])):
                of_kind = contexts[contexts["kind"] == kind].sort_values(["neuron", "rank"])
                np.testing.assert_array_equal(of_kind["value"].to_numpy().reshape(-1, MOST), extremes.T)
            for percent in range(10, 100, 10):
                of_kind = contexts[contexts["kind"] == f"quantile_{percent}"]
                nearest = ordered[round(percent / 100 * (len(ordered) - 1))]
                found = of_kind.groupby("neuron")["value"].agg(["min", "max"])
                assert ((found["min"] <= nearest) & (nearest <= found["max"])).all()
