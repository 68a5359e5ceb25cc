"""All three studies, by config alone, on a tiny model of each supported architecture with random weights.

    python benchmarks/architectures.py [--only gemma2 phi3] [--cores 2]

Makes the models of tests/tiny_models.py (architectures and variants) with the vocabulary of the embedded tokenizer in
a temporary folder, and runs the workflow on four sequences of 64 tokens for one after another. They share the tokens.
Prints for each whether the run went through, how many jobs and seconds it took, and the end of what Snakemake said if
it did not. Exits with 1 if one did not.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from project import link_project, snakemake
from tiny_models import CASES, LAYERS, save_tiny_model
from transformers.utils.logging import disable_progress_bar

VOCABULARY = 8192  # of the embedded tokenizer
STUDY = {
    "sampling": {"sequences": 4, "sequence_length": 64, "sequences_per_shard": 4},
    "studies": {
        "token_length": {"corpus": "embedded", "histogram_bins": 64, "resamples": 100, "frequency_tokens": 5000},
        "token_similarity": {"sentences": "resources/sentences_her.txt", "target": "her"},
        "path_length": {"corpus": "embedded"},
    },
}


def write_config(folder: Path, name: str, layers: int) -> None:
    """Write the config of a study of one model, whose files are in the folder of that name."""
    studies = {study: {**settings, "models": [name]} for study, settings in STUDY["studies"].items()}
    models = {name: {"source": name, "tokenizer": "mini", "layers": layers}}
    text = yaml.safe_dump({**STUDY, "models": models, "studies": studies})
    (folder / "study.yaml").write_text(text, encoding="utf-8")


def run(folder: Path, case: str, cores: int) -> bool:
    """Run all studies on a model; whether that went through."""
    model_type, changes = CASES[case]
    name = re.sub(r"[^a-z0-9]+", "-", case.lower())
    save_tiny_model(model_type, folder / name, vocab_size=VOCABULARY, **changes)
    write_config(folder, name, LAYERS[case])
    started = time.time()
    done = snakemake(folder, "--cores", str(cores), "--configfile", "study.yaml", "--keep-going")
    printed = done.stdout + done.stderr
    jobs = max(map(int, re.findall(r"of (\d+) steps", printed)), default=0)
    through = done.returncode == 0 and name in (folder / "results/claims.csv").read_text(encoding="utf-8")
    print(f"{case}: {'through' if through else 'FAILED'}, {jobs} jobs, {time.time() - started:.0f} s", flush=True)
    if not through:
        print(printed[-3000:], flush=True)
    return through


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        link_project(Path(name))
        found = [run(Path(name), case, arguments.cores) for case in arguments.only]
    print(f"{sum(found)} of {len(found)} went through")
    return int(not all(found))


if __name__ == "__main__":
    sys.exit(main())
