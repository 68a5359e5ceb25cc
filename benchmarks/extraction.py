"""What an extraction job costs, beside the floor and beside the notebook way of doing it.

    python benchmarks/extraction.py [--rounds 3] [--long]

On GPT-Neo 125M's exact shape with random weights, 16 x 512 tokens, every layer's MLP pre-activations. Each round runs,
each in a process of its own and one after the other, so that a change of the machine's speed meets all alike:

- floor: import, load, and a bare forward pass of the base model, for batches of 2 and of 4 sequences (the best of 1, 2,
  4 and 8); the faster of the two is the floor, and what it spends before the pass is the process start;
- job: the whole extraction job, as the workflow's script runs it;
- notebook: the causal LM in one 16 x 512 batch with hooks that keep activations in a dict.

With --long also the peak memory of the job at 8,192 and at 65,536 tokens.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEQUENCES, LENGTH = 16, 512


def peak_mib() -> float:
    """Peak memory of this process; ``ru_maxrss`` is no less than that of the parent, which made a model."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def prepare(folder: Path, sequences: int) -> None:
    """Save the model and a token shard of random tokens."""
    import numpy as np
    import torch
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    from layerscope.io.files import write_json
    from layerscope.tokenize.token_shards import Tokens, write_token_shard

    if not (folder / "model").is_dir():
        torch.manual_seed(0)
        GPTNeoForCausalLM(GPTNeoConfig.from_dict(SHAPE)).save_pretrained(folder / "model")
    record = {
        "name": "gpt-neo-125m-shape",
        "source": "random",
        "commit": None,
        "content": None,
        "path": str(folder / "model"),
    }
    write_json(folder / "model.json", {**record, "model_type": "gpt_neo", "weights": "trained"})
    ids = np.random.default_rng(0).integers(0, 50257, sequences * LENGTH).astype(np.int32)
    tokens = Tokens(ids, *(np.zeros_like(ids),) * 3)
    attributes = {"sequences": sequences, "sequence_length": LENGTH, "tokenizer": "none", "corpus": "random"}
    attributes |= {"shard": 0}
    write_token_shard(folder / f"tokens_{sequences}.h5", tokens, attributes)


# Hidden size, layers, heads and windows of EleutherAI/gpt-neo-125m.
SHAPE = {
    "hidden_size": 768,
    "num_layers": 12,
    "num_heads": 12,
    "attention_types": [[["global", "local"], 6]],
    "window_size": 256,
    "max_position_embeddings": 2048,
    "vocab_size": 50257,
}


def floor(folder: Path, batch: int) -> dict[str, float]:
    import torch

    from layerscope.io.files import read_json
    from layerscope.model.loading import load_base_model
    from layerscope.tokenize.token_shards import read_token_shard

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokens, _ = read_token_shard(folder / f"tokens_{SEQUENCES}.h5")
    rows = torch.from_numpy(tokens.input_ids.reshape(SEQUENCES, LENGTH)).long()
    model = load_base_model(read_json(folder / "model.json"), "float32", torch.device("cpu"))
    before = time.time()
    with torch.inference_mode():
        for part in rows.split(batch):
            model(input_ids=part, use_cache=False)
    return {"start": before - STARTED, "forward": time.time() - before}


def job(folder: Path, sequences: int) -> None:
    from layerscope.extract.store_activations import extract_shard
    from layerscope.io.files import read_json, write_json

    spec = {"sites": ["mlp_pre"], "dtype": "float32", "batch_size": "auto"}
    spec |= {"storage_dtype": "float32", "compression": "none"}
    shard = folder / "shard.h5"
    manifest = extract_shard(
        str(folder / f"tokens_{sequences}.h5"),
        read_json(folder / "model.json"),
        spec,
        "cpu",
        len(os.sched_getaffinity(0)),
        shard,
    )
    write_json(folder / "shard.json", manifest)


def notebook(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from layerscope.io.files import read_json
    from layerscope.tokenize.token_shards import read_token_shard

    model = AutoModelForCausalLM.from_pretrained(read_json(folder / "model.json")["path"], dtype=torch.float32)
    tokens, _ = read_token_shard(folder / f"tokens_{SEQUENCES}.h5")
    kept = {}
    for layer, block in enumerate(model.transformer.h):
        block.mlp.c_fc.register_forward_hook(lambda m, a, out, layer=layer: kept.__setitem__(layer, out.detach()))
    with torch.no_grad():
        model(torch.from_numpy(tokens.input_ids.reshape(SEQUENCES, LENGTH)).long())


def run(what: str, folder: Path, sequences: int = SEQUENCES, batch: int = 0) -> dict[str, float]:
    """Run one part in a process of its own: wall seconds, peak memory in MiB, and what it measured itself."""
    command = [sys.executable, __file__, "--part", what, "--folder", str(folder)]
    command += ["--sequences", str(sequences), "--batch", str(batch)]
    before = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {"wall": time.time() - before, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="also the job's peak memory at 65,536 tokens")
    parser.add_argument("--part", choices=["floor", "job", "notebook"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        measured = {}
        if args.part == "floor":
            measured = floor(args.folder, args.batch)
        elif args.part == "job":
            job(args.folder, args.sequences)
        else:
            notebook(args.folder)
        print(json.dumps({**measured, "peak_mib": peak_mib()}))
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, SEQUENCES)
        over_floor, over_notebook = [], []
        for _ in range(args.rounds):
            floors = [run("floor", folder, batch=batch) for batch in (2, 4)]
            whole, old = run("job", folder), run("notebook", folder)
            best = min(floors, key=lambda bare: bare["forward"])
            over_floor.append(whole["wall"] / (best["forward"] + best["start"]))
            over_notebook.append(old["wall"] / whole["wall"])
            print(
                f"forward {best['forward']:.1f} s + start {best['start']:.1f} s; job {whole['wall']:.1f} s, "
                f"{whole['peak_mib']:.0f} MiB; notebook {old['wall']:.1f} s, {old['peak_mib']:.0f} MiB",
                flush=True,
            )
        print(f"job / (forward + start): median {statistics.median(over_floor):.2f} of {args.rounds}")
        print(f"notebook / job: median {statistics.median(over_notebook):.2f}")
        if args.long:
            prepare(folder, 128)
            peaks = [run("job", folder, sequences)["peak_mib"] for sequences in (SEQUENCES, 128)]
            print(f"peak memory of the job: {peaks[0]:.0f} MiB at 8,192 tokens, {peaks[1]:.0f} MiB at 65,536")


if __name__ == "__main__":
    STARTED = time.time()
    main()
