"""The default study: what it was estimated to cost, by what it wrote and took."""

import re
from pathlib import Path

import pandas as pd
import pytest
from project import snakemake

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
