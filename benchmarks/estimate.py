"""What ``snakemake estimate`` says of disk and memory, beside what a run wrote and took.

    python benchmarks/estimate.py FOLDER [--configfile study.json]
    python benchmarks/estimate.py --run [--documents fineweb.jsonl --tokenizer gpt2] [--cores 2]

The first compares with a finished run in FOLDER, where ``snakemake`` was started; the second first runs the study that
benchmarks/notebook.py prepares: token_length of GPT-Neo 125M's exact shape with random weights, on 16 x 512 tokens.
Memory is the peak of a job's process (``max_rss`` of Snakemake's benchmark files), the largest of the jobs of a rule.
"""

import argparse
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import yaml
from snakemake.utils import update_config

from layerscope.preflight.config import Config
from layerscope.preflight.load import load_config
from layerscope.workflow.costs import ModelCosts, model_costs
from layerscope.workflow.model_size import local_model_size
from layerscope.workflow.resources import Needs

PROJECT = Path(__file__).parents[1]
# Folders of the results by the rules that write them.
STAGES = {
    "activations": ("extract",),
    "summaries": ("summarize", "summarize_stored"),
    "path_length": ("extract_paths",),
    "token_similarity": ("extract_vectors",),
    "explorer": ("write_explorer_neurons",),
}


def compare(folder: Path, overlay: str | None) -> Iterator[tuple[str, float, float]]:
    """What is compared, in which unit; the estimate; and what was measured."""
    os.chdir(folder)
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    if overlay:
        update_config(config, yaml.safe_load(Path(overlay).read_text()))
    costs = list(estimated(load_config(config)))
    results = Path(config.get("results", "results"))
    files = [path for path in results.rglob("*") if path.is_file() and results / "logs" not in path.parents]
    for stage, rules in STAGES.items():
        written = sum(path.stat().st_size for path in files if path.is_relative_to(results / stage))
        if written:
            yield f"{stage}, MB", sum(of.bytes_of(*rules) for of in costs) / 1e6, written / 1e6
    yield (
        "all files, MB",
        sum(of.bytes_of() for of in costs) / 1e6,
        sum(path.stat().st_size for path in files) / 1e6,
    )
    jobs = [job for of in costs for job in of.jobs]
    for rule in dict.fromkeys(job.rule for job in jobs):
        expected = max(job.expected.memory for job in jobs if job.rule == rule)
        yield f"{rule}, MB of memory", expected / 1e6, peak((results / "logs" / rule).rglob("*.benchmark.tsv"))
    largest = max(job.expected.memory for job in jobs)
    yield "largest job, MB of memory", largest / 1e6, peak((results / "logs").rglob("*.benchmark.tsv"))


def estimated(config: Config) -> Iterator[ModelCosts]:
    needs = Needs(config, gpu=False)
    for name in dict.fromkeys(model for study in config.chosen().values() for model in study.models):
        size = local_model_size(config.models[name].source)
        if size is None:
            raise SystemExit(f"{name}: its size is not known; compare models on this machine")
        yield model_costs(config, needs, name, size)


def peak(benchmarks: Iterable[Path]) -> float:
    """MB; files of a run that lasted less than a second have no number."""
    return max((pd.read_csv(path, sep="\t")["max_rss"].max() * 2**20 / 1e6 for path in benchmarks), default=0.0)


def table(rows: Iterable[tuple[str, float, float]]) -> Iterator[str]:
    yield from ("| | estimated | measured | ratio |", "| --- | --- | --- | --- |")
    for what, expected, measured in rows:
        ratio = f"{expected / measured:.2f}" if measured else ""
        yield f"| {what} | {expected:,.1f} | {measured:,.1f} | {ratio} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of a finished run")
    parser.add_argument("--configfile", help="its overlay, relative to the folder")
    parser.add_argument("--run", action="store_true", help="run a study first")
    parser.add_argument("--documents", type=Path, default=PROJECT / "resources/corpus/documents.jsonl")
    parser.add_argument("--tokenizer", type=Path, default=PROJECT / "resources/tokenizers/mini")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args(arguments)
    if given.run == bool(given.folder):
        parser.error("name the folder of a finished run, or --run")
    if given.folder:
        print(*table(compare(given.folder, given.configfile)), sep="\n")
        return
    import notebook

    documents, tokenizer = given.documents.resolve(), given.tokenizer.resolve()
    with tempfile.TemporaryDirectory() as name:
        notebook.prepare(Path(name), documents, tokenizer)
        notebook.workflow(Path(name), given.cores)
        print(*table(compare(Path(name), "study.json")), sep="\n")


if __name__ == "__main__":
    main()
