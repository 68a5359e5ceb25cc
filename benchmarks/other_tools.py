"""Extraction beside nnsight and TransformerLens: GPT-Neo 125M's exact shape, random weights, 16 x 512 tokens.

    python -m venv others && others/bin/pip install torch==2.13.0 nnsight==0.8.1 transformer_lens==4.3.0
    python benchmarks/other_tools.py others/bin/python [--rounds 3]

Each tool computes the MLP pre-activations of all layers, in a process of its own and one after the other. The other two
keep them in memory, and this project's job also checks them and writes them to disk. Of batches of 1, 2, 4 and 16
sequences each of the others has the one that is fastest for it. Prints seconds of the whole process, and of the passes
alone once the model is loaded.
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
from typing import Any

SEQUENCES, LENGTH = 16, 512
BATCHES = (1, 2, 4, 16)
OTHERS = ("nnsight", "transformer_lens")


def passes(tool: str, folder: str, batch: int) -> float:
    """Seconds in which another tool, with the model loaded, gets the activations of all rows; run by its Python."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    rows = torch.randint(0, 50257, (SEQUENCES, LENGTH), generator=torch.Generator().manual_seed(0)).split(batch)
    found = []
    with torch.inference_mode():
        if tool == "nnsight":
            import nnsight

            model = nnsight.NNsight(AutoModel.from_pretrained(folder, dtype=torch.float32).eval())
            started = time.time()
            for part in rows:
                with model.trace(part):
                    kept = nnsight.save([])
                    for block in model.h:
                        kept.append(block.mlp.c_fc.output)
                found.append(kept)
        else:
            from transformer_lens.model_bridge import TransformerBridge

            whole: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            bridge: Any = TransformerBridge.boot_transformers(folder, hf_model=whole)
            started = time.time()
            for part in rows:
                _, cache = bridge.run_with_cache(
                    part, names_filter=lambda name: name.endswith("mlp.hook_pre"), return_type=None
                )
                found.append(list(cache.values()))
    seconds = time.time() - started
    assert sum(values.shape[0] * values.shape[1] for kept in found for values in kept[:1]) == SEQUENCES * LENGTH
    assert {len(kept) for kept in found} == {12}
    return seconds


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of a process, and those that it prints."""
    started = time.time()
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return time.time() - started, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="of an environment with the other tools")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        tool, folder, batch = arguments.part
        print(json.dumps(passes(tool, folder, int(batch))))
        return
    from extraction import prepare, run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, SEQUENCES)

        def other(tool: str, batch: int) -> tuple[float, float]:
            return timed([arguments.python, __file__, "-", "--part", tool, str(folder / "model"), str(batch)])

        best = {tool: min(BATCHES, key=lambda batch: other(tool, batch)[1]) for tool in OTHERS}
        print("fastest batches:", ", ".join(f"{tool} {batch}" for tool, batch in best.items()), flush=True)
        ratios: dict[str, list[float]] = {tool: [] for tool in OTHERS}
        for _ in range(arguments.rounds):
            ours = run("job", folder)["wall"]
            line = [f"layerscope {ours:.1f} s"]
            for tool in OTHERS:
                whole, alone = other(tool, best[tool])
                ratios[tool].append(whole / ours)
                line.append(f"{tool} {whole:.1f} s (passes {alone:.1f} s)")
            print(", ".join(line), flush=True)
        for tool in OTHERS:
            print(f"{tool} / layerscope: median {statistics.median(ratios[tool]):.2f} of {arguments.rounds}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
