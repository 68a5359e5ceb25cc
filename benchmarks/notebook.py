"""The workflow beside the notebook that it replaces: GPT-Neo 125M's exact shape, random weights, 16 x 512 tokens.

    python benchmarks/notebook.py [--documents fineweb.jsonl --tokenizer gpt2] [--rounds 3] [--cores 2]

- notebook: one process loads the causal LM, runs it over all tokens in one batch with hooks that keep every layer's MLP
  pre-activations, correlates each neuron with the length of the token, and draws r by layer and a layer's histogram;
- workflow: ``snakemake`` from nothing to the report, with the study token_length of that model and all it computes: the
  frequency confound, nulls, intervals, dip tests, contexts, twelve figures.

Both in turn, so that a change of the machine's speed meets both alike.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from extraction import LENGTH, SEQUENCES, SHAPE

PROJECT = Path(__file__).parents[1]
MODEL = "gpt-neo-125m-shape"


def prepare(folder: Path, documents: Path, tokenizer: Path) -> None:
    """Save the model, and what a study needs beside it."""
    import torch
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    torch.manual_seed(0)
    GPTNeoForCausalLM(GPTNeoConfig.from_dict(SHAPE)).save_pretrained(folder / MODEL)
    for name in ("config", "profiles", "resources"):
        (folder / name).symlink_to(PROJECT / name)
    study = {
        "models": {MODEL: {"source": str(folder / MODEL), "tokenizer": "given", "layers": SHAPE["num_layers"]}},
        "tokenizers": {"given": {"source": str(tokenizer)}},
        "corpora": {"given": {"source": str(documents)}},
        "sampling": {"sequences": SEQUENCES, "sequence_length": LENGTH, "sequences_per_shard": SEQUENCES},
        "studies": {
            "token_length": {"models": [MODEL], "corpus": "given"},
            "token_similarity": None,
            "path_length": None,
        },
    }
    (folder / "study.json").write_text(json.dumps(study))


def workflow(folder: Path, cores: int) -> None:
    for name in ("results", ".snakemake"):
        shutil.rmtree(folder / name, ignore_errors=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--cores", str(cores)]
    subprocess.run([*command, "--configfile", "study.json"], cwd=folder, check=True, capture_output=True)


def notebook(folder: Path, documents: Path, tokenizer: Path) -> None:
    import matplotlib.pyplot as plt
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    encode = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer / "tokenizer.json"))
    ids: list[int] = []
    with documents.open(encoding="utf-8") as lines:
        while len(ids) < SEQUENCES * LENGTH:
            ids += encode.encode(json.loads(next(lines))["text"])
    batch = torch.tensor(ids[: SEQUENCES * LENGTH]).reshape(SEQUENCES, LENGTH)
    model = AutoModelForCausalLM.from_pretrained(folder / MODEL, dtype=torch.float32)
    kept: dict[int, torch.Tensor] = {}
    for layer, block in enumerate(model.transformer.h):
        block.mlp.c_fc.register_forward_hook(lambda m, a, out, layer=layer: kept.__setitem__(layer, out.detach()))
    with torch.no_grad():
        model(batch)
    lengths = np.array([len(encode.decode([token])) for token in batch.flatten().tolist()], dtype=np.float64)
    y = (lengths - lengths.mean()) / lengths.std()
    r = []
    for layer in range(len(kept)):
        x = kept[layer].flatten(0, 1).numpy()
        r.append((y @ (x - x.mean(axis=0))) / (x.std(axis=0) * len(y)))
    fig, (by_layer, values) = plt.subplots(1, 2, figsize=(9, 3.4))
    by_layer.violinplot(r, range(len(r)))
    for group in (lengths < np.median(lengths), lengths > np.median(lengths)):
        values.hist(kept[len(r) // 2].flatten(0, 1).numpy()[group].ravel(), bins=200, histtype="step", density=True)
    fig.savefig(folder / "notebook.png", dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=PROJECT / "resources/corpus/documents.jsonl")
    parser.add_argument("--tokenizer", type=Path, default=PROJECT / "resources/tokenizers/mini")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    documents, tokenizer = arguments.documents.resolve(), arguments.tokenizer.resolve()
    if arguments.folder:
        notebook(arguments.folder, documents, tokenizer)
        return
    alone = [sys.executable, __file__, "--documents", str(documents), "--tokenizer", str(tokenizer), "--folder"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, documents, tokenizer)
        ratios = []
        for _ in range(arguments.rounds):
            started = time.time()
            subprocess.run([*alone, name], check=True)
            old = time.time() - started
            workflow(folder, arguments.cores)
            new = time.time() - started - old
            ratios.append(new / old)
            print(f"notebook {old:.1f} s, workflow {new:.1f} s", flush=True)
        print(f"workflow / notebook: median {statistics.median(ratios):.2f} of {arguments.rounds}")


if __name__ == "__main__":
    main()
