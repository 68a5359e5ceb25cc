"""What README.md says of results, and each number in it, comes from tables and settings.

The rows behind its figure are in the repository, so that its sentences are checked without a run. The rows themselves
are checked against a default study: that of test_slurm.py, and results/ where they are those of the code here.
"""

import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from readme_rows import FIGURE, TABLE, check_figure, check_rows
from safetensors.numpy import load_file

from layerscope.config.sections import Sampling, Summaries
from layerscope.summarize.reducer import summary_bytes
from layerscope.tokenize.tokenizer import load_tokenizer

SMALL, LARGE = "neo-2m", "neo-8m"
CONTROLS = ("neo-2m-random", "neo-8m-random")


@pytest.fixture(scope="module")
def readme(project: Path) -> str:
    """Its text in one line, without code."""
    text = (project / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^ {4,}.*$", "", text)
    return " ".join(re.sub(r"`[^`]*`|(?<=\])\([^)]*\)", "", text).split())


@pytest.fixture(scope="module")
def config(project: Path) -> dict:
    return yaml.safe_load((project / "config/config.yaml").read_text(encoding="utf-8"))


class Rows:
    """The rows behind the figure."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table.set_index(["model", "measure", "statistic", "layer"]).sort_index()

    def at(self, model: str, layer: int, statistic: str = "median", measure: str = "r") -> pd.Series:
        layers = self.table.loc[(model, measure, statistic)]
        return layers.iloc[layer]

    def value(self, *place: object) -> float:
        return self.at(*place)["value"]

    def beyond_null(self, *place: object) -> int:
        """1 above the 95% band of the null, -1 below, 0 within."""
        row = self.at(*place)
        return int(row["value"] > row["null_high"]) - int(row["value"] < row["null_low"])


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Rows(pd.read_csv(TABLE))


def full_study(project: Path, config: dict) -> str:
    """How much the activation shards and the summaries of config/gpt_neo.yaml hold, in float32."""
    full = yaml.safe_load((project / "config/gpt_neo.yaml").read_text(encoding="utf-8"))
    sampling = Sampling(**full["sampling"])
    tokens = sampling.stored * sampling.sequence_length
    neurons = {"gpt-neo-125m": 3072, "gpt-neo-1.3b": 8192}  # of a layer: four times the models' hidden sizes
    names = full["studies"]["token_length"]["models"]
    units = sum(config["models"][name]["layers"] * neurons[name.removesuffix("-random")] for name in names)
    classes, products = Summaries().token_types, np.zeros((100, 13, 13))  # of as many covariates
    sums = SimpleNamespace(
        clusters=np.arange(100), cluster_products=products, classes=np.arange(classes), class_products=products,
    )  # fmt: skip
    summaries = sampling.shards * summary_bytes(units, sums) / 1e9
    return (
        f"The stored activations of token_length take {units * tokens * 4 / 1e9:.0f} GB, the summaries about "
        f"{round(summaries, -1):.0f} GB"
    )


def number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def sentences(rows: Rows, config: dict) -> list[str]:
    """What the tables say, in the words of README.md."""
    models, tokens = config["models"], config["sampling"]["sequences"] * config["sampling"]["sequence_length"]
    first = [number(rows.at(model, 0)["value"]) for model in (SMALL, LARGE)]
    (given,) = {number(rows.value(model, 0, "median", "r_given_frequency")) for model in (SMALL, LARGE)}
    places = [(control, layer) for control in CONTROLS for layer in range(models[control]["layers"])]
    beyond = sum(rows.beyond_null(*place) != 0 for place in places)
    return [
        f"The embedded models, of {models[SMALL]['layers']} and {models[LARGE]['layers']} layers, trained and with "
        f"random weights, on {tokens:,} tokens of the embedded corpus.",
        "In the first layer of both trained models the median r lies above the 95% band of its null (hatched), that of "
        "neurons which follow neither length nor what goes with it: "
        f"{first[0]} and {first[1]}.",
        f"With random weights it leaves the band in {beyond} of {len(places)} layers, as one in twenty does on "
        "average.",
        f"given that, the median r of the first layer is {given} in both.",
    ]


def test_what_readme_says_of_the_figure_is_in_its_table(readme: str, rows: Rows, config: dict) -> None:
    for sentence in sentences(rows, config):
        assert sentence in readme


def test_what_is_said_of_the_null_is_so(rows: Rows, config: dict) -> None:
    """A sentence above that says it is only right with these."""
    first = {model: rows.beyond_null(model, 0) for model in (SMALL, LARGE)}
    assert first == {SMALL: 1, LARGE: 1}
    # "Most of the response is to the tokens' frequency": more than half of the median r goes with it.
    for model in (SMALL, LARGE):
        assert rows.value(model, 0, "median", "r_given_frequency") < rows.value(model, 0) / 2


def costs(project: Path, config: dict) -> list[str]:
    """Cells of the table of costs: what was measured is in the pages that it names, and what they say of it."""
    full = Sampling(**yaml.safe_load((project / "config/gpt_neo.yaml").read_text(encoding="utf-8"))["sampling"])
    default = config["sampling"]["sequences"] * config["sampling"]["sequence_length"]
    cluster = (project / "docs/cluster.md").read_text(encoding="utf-8")
    disk, memory = (
        [f"{float(cells.split()[0]):.1f} GB" for cells in re.search(row, cluster)[1].split("|")[1::2]]
        for row in (r"\| all files on the disk \|(.*)\|", r"\| memory of the largest job \|(.*)\|")
    )
    performance = " ".join((project / "docs/performance.md").read_text(encoding="utf-8").split())
    seconds = (
        re.search(r"`snakemake --cores 8` on two cores \| \d+ \| (\d+) \|", performance)[1],
        re.search(r"The notebook took [\d.]+ seconds, the study ([\d.]+):", performance)[1],
    )
    minutes = [f"{number} minute{'s' * (number > 1)}" for number in (round(float(of) / 60) for of in seconds)]
    return [
        f"| {default:,} | a laptop | {minutes[0]} ¹ | {memory[0]} ¹ | {disk[0]} ¹ |",
        f"| token_length of GPT-Neo 125M | 8,192 | a laptop | {minutes[1]} ¹ | {memory[1]} ¹ | {disk[1]} ¹ |",
        f"| {full.sequences * full.sequence_length:,} | a cluster with GPUs | 2 GPU hours ² "
        "| 21.5 GB, on the GPU 21.2 GB ² | 323 GB ² |",
        "at 12 TFLOP/s, float32 on an A100",
    ]


def test_every_number_in_readme_is_one_of_these(readme: str, rows: Rows, config: dict, project: Path) -> None:
    version = tomllib.loads((project / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    lines = len((project / config["studies"]["token_similarity"]["sentences"]).read_text().splitlines())
    names = ("GPT-Neo 125M and 1.3B", "GPT-2", "HDF5", "CC0")
    facts = (full_study(project, config), f"Python {version} or newer", f'(" her") over {lines} sentences')
    for known in (*sentences(rows, config), *costs(project, config), *facts, *names):
        assert known in readme
        readme = readme.replace(known, "")
    assert re.findall(r"\S*\d\S*", readme) == []


def test_numbers_of_the_resources_are_those_of_their_files(project: Path, mini_tokenizer: dict) -> None:
    folder = project / "resources"
    page = " ".join((folder / "README.md").read_text(encoding="utf-8").split())
    documents = [json.loads(line) for line in (folder / "corpus/documents.jsonl").read_text("utf-8").splitlines()]
    tokens = sum(map(len, load_tokenizer(mini_tokenizer).encode([document["text"] for document in documents])))
    sentences_of_her = len((folder / "sentences_her.txt").read_text(encoding="utf-8").splitlines())
    said = [
        f"{len(documents)} English documents",
        f"in {len({document['register'] for document in documents})} registers",
        f"{tokens:,} tokens of the embedded tokenizer. Fields",
        f"{sentences_of_her} English sentences",
    ]
    for name in (SMALL, LARGE):
        of = json.loads((folder / f"models/{name}/training.json").read_text(encoding="utf-8"))
        weights = load_file(folder / f"models/{name}/model.safetensors")
        assert sum(tensor.size for tensor in weights.values()) == of["parameters"]
        said += [
            f"{of['parameters']:,} parameters",
            f"{of['train_tokens']:,} tokens of the embedded tokenizer",
            f"{of['held_out_tokens']:,} tokens of the embedded tokenizer",
            f"| {name} | {of['epochs']:g} | {of['steps']:,} | {of['train_loss_last_50_steps']:.2f} "
            f"| {of['held_out_loss']:.3f} | {of['held_out_bits_a_byte']:.3f} |",
        ]
    assert [words for words in said if words not in page] == []


def test_the_table_is_that_of_a_default_study(default_results: Path) -> None:
    check_rows(default_results)
    check_figure(default_results)


def test_another_study_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check finds a value that is another."""
    table = pd.read_csv(TABLE)
    monkeypatch.setattr("readme_rows.readme_rows", lambda results: table)
    monkeypatch.setattr("readme_rows.figure_of", lambda results: FIGURE)
    check_rows(tmp_path)
    check_figure(tmp_path)
    for column, change in (("value", 0.01), ("null_low", -0.01)):
        other = table.assign(**{column: table[column] + change * (table.index == 3)})
        monkeypatch.setattr("readme_rows.readme_rows", lambda results, other=other: other)
        with pytest.raises(AssertionError):
            check_rows(tmp_path)
