"""What ``snakemake estimate`` says of disk and memory, beside what a run wrote and took.

    python benchmarks/estimate.py FOLDER [--configfile study.json]
    python benchmarks/estimate.py --run default [--cores 2]
    python benchmarks/estimate.py --run gpt-neo-125m [--documents fineweb.jsonl --tokenizer gpt2] [--cores 2]

The first compares with a finished run in FOLDER, where ``snakemake`` was started; the others run a study first: the
default one, or that of benchmarks/notebook.py, token_length of GPT-Neo 125M's exact shape with random weights, on
16 x 512 tokens. Memory is the peak of a process, the largest of the jobs of a rule. Of a finished run, Snakemake's
benchmark files say it: of jobs that were forks, the true peak; of others, the most that Snakemake saw, which looks
every half second, after half a minute every half minute. Of a study that is run here, the system says it.
"""

import argparse
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import notebook
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
    "path_length": ("extract_paths", "reduce_paths"),
    "token_similarity": ("extract_vectors", "compute_cosines"),
    "explorer": ("write_explorer_neurons",),
}


class Peaks(threading.Thread):
    """Watches the jobs of a run. Use as a context manager; ``found`` has the peak in MB by :func:`name_of` their rule.

    Args:
        folder: where the run is started.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder.resolve()
        self.script = re.compile(r"/\.snakemake/scripts/\w+\.(\w+)\.py")
        self.found: dict[str, float] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):  # it ended meanwhile
                    if (process / "cwd").resolve() != self.folder:
                        continue
                    # A job of several cores has a process of its own, others are forks that have the job's name.
                    own = self.script.search((process / "cmdline").read_text())
                    name = name_of(own[1]) if own else (process / "comm").read_text().strip()
                    status = (process / "status").read_text()
                    if peak := re.search(r"^VmHWM:\s+(\d+)", status, re.MULTILINE):
                        self.found[name] = max(self.found.get(name, 0), int(peak[1]) * 1024 / 1e6)

    def __enter__(self) -> "Peaks":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self.join()


def name_of(rule: str) -> str:
    """A rule's name as that of a process, of which Linux keeps 15 characters."""
    return rule[:15]


def compare(
    folder: Path, overlay: str | None, peaks: Mapping[str, float] | None = None
) -> Iterator[tuple[str, float, float]]:
    """What is compared, in which unit; the estimate; and what was measured. Figures are part of all files alone.

    Args:
        peaks: :func:`name_of` a rule → MB; those of Snakemake's benchmark files, if not given.
    """
    os.chdir(folder)
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    if overlay:
        update_config(config, yaml.safe_load(Path(overlay).read_text()))
    costs = list(estimated(load_config(config)))
    results = Path(config.get("results", "results"))
    files = [path for path in results.rglob("*") if path.is_file() and results / "logs" not in path.parents]
    for stage, rules in STAGES.items():
        of_stage = [path for path in files if path.is_relative_to(results / stage) and "figures" not in path.parts]
        written = sum(path.stat().st_size for path in of_stage)
        if written:
            yield f"{stage}, MB", sum(of.bytes_of(*rules) for of in costs) / 1e6, written / 1e6
    yield (
        "all files, MB",
        sum(of.bytes_of() for of in costs) / 1e6,
        sum(path.stat().st_size for path in files) / 1e6,
    )
    jobs = [job for of in costs for job in of.jobs]
    expected = {job.rule: 0.0 for job in jobs}
    for job in jobs:
        expected[job.rule] = max(expected[job.rule], job.expected.memory / 1e6)
    if peaks is None:
        peaks = {name_of(rule): peak((results / "logs" / rule).rglob("*.benchmark.tsv")) for rule in expected}
    for rule in expected:
        yield f"`{rule}`, MB of memory", expected[rule], peaks.get(name_of(rule), 0.0)
    largest = max(peaks.get(name_of(rule), 0.0) for rule in expected)
    yield "the largest job, MB of memory", max(expected.values()), largest


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of a finished run")
    parser.add_argument("--configfile", help="its overlay, relative to the folder")
    parser.add_argument("--run", choices=["default", "gpt-neo-125m"], help="run a study first")
    parser.add_argument("--documents", type=Path, default=PROJECT / "resources/corpus/documents.jsonl")
    parser.add_argument("--tokenizer", type=Path, default=PROJECT / "resources/tokenizers/mini")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    if bool(given.run) == bool(given.folder):
        parser.error("name the folder of a finished run, or --run")
    if given.folder:
        print(*table(compare(given.folder, given.configfile)), sep="\n")
        return
    documents, tokenizer = given.documents.resolve(), given.tokenizer.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notebook.prepare(folder, documents, tokenizer)
        if given.run == "default":
            (folder / "study.json").write_text('{"results": "results"}')  # nothing that the default does not have
        with Peaks(folder) as peaks:
            notebook.workflow(folder, given.cores)
        print(*table(compare(folder, "study.json", peaks.found)), sep="\n")


if __name__ == "__main__":
    main()
