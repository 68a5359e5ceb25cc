"""How often tests pass where there is nothing, how often intervals hold the truth, and what is seen.

    python benchmarks/calibration.py --documents fineweb.jsonl --tokenizer gpt2 [--sets 200] [--only size power]

Neurons are simulated; the tokens they read are those of real documents (JSON Lines with a field ``text``, and the
folder of a tokenizer), drawn with replacement, and of simulated text with Zipf's frequencies. docs/calibration.md has
the results.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from calibration_r import coverage, coverage_table, size_table, sizes
from calibration_studies import dips, path_lengths, similarity_claims_of, token_length_claims
from calibration_text import Text, read_text, zipf_text

SMALL, MIDDLE, LARGE = 8_192, 32_768, 65_536  # tokens
EFFECTS = (0.02, 0.05, 0.1)


def tables(pools: dict[str, Text], sets: int, only: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Tables by what they are of."""
    text = next(iter(pools.values()))
    if "size" in only:
        found = {}
        for tokens in (SMALL, LARGE):
            for name, pool in pools.items():
                for kind in (
                    ("shared", "plain", "heavy", "frequency") if tokens == SMALL and pool is text else ("shared",)
                ):
                    found[f"{name} {kind} {tokens:,}"] = size_table(sizes(pool, kind, tokens, 0.0, sets, 1))
        yield "size", pd.DataFrame(found)
    if "coverage" in only:
        for name, pool in pools.items():
            table = coverage_table(coverage(pool, "shared", LARGE, sets, 2))
            yield f"coverage: {name}, {LARGE:,} tokens", table
    if "power" in only:
        found = {
            f"{effect} {tokens:,}": size_table(sizes(text, "shared", tokens, effect, sets, 3))
            for tokens in (SMALL, LARGE)
            for effect in EFFECTS
        }
        yield "power", pd.DataFrame(found)
    if "dip" in only:
        found = {
            f"{kind} {tokens:,}": pd.DataFrame(
                [dips(text, tokens, kind, np.random.default_rng([4, number])) for number in range(sets)]
            ).mean()
            for tokens in (SMALL, LARGE)
            for kind in ("shared", "heavy")
        }
        yield "dip", pd.DataFrame(found)
    if "claims" in only:
        rows = [token_length_claims(text, MIDDLE, np.random.default_rng([5, number])) for number in range(sets)]
        yield "claims on token length, without a signal", verdicts(pd.concat(rows))
    if "paths" in only:
        yield "coverage: path lengths", coverage_table(path_lengths(text, MIDDLE, sets, 6))
    if "similarity" in only:
        rows = [similarity_claims_of(np.random.default_rng([7, number])) for number in range(sets)]
        table = pd.concat(rows)
        zero = table[table["claim"].isin(["similarity_falls", "fall_beyond_mean_over_spread", "variance_rises"])]
        covers = (zero["low"] <= 0) & (zero["high"] >= 0)
        yield "coverage of zero: token similarity", covers.groupby(zero["claim"]).mean().to_frame("coverage")


def verdicts(claims: pd.DataFrame) -> pd.DataFrame:
    """Share of data sets with each verdict, by claim."""
    return pd.crosstab([claims["claim"], claims["models"]], claims["verdict"], normalize="index")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, help="JSON Lines; without it, only simulated text")
    parser.add_argument("--tokenizer", type=Path, help="folder with tokenizer.json")
    parser.add_argument("--sets", type=int, default=200, help="data sets of each kind, a multiple of 20")
    every = ["size", "coverage", "power", "dip", "claims", "paths", "similarity"]
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    arguments = parser.parse_args()
    pools = {"Zipf": zipf_text(np.random.default_rng(0))}
    if arguments.documents:
        pools = {arguments.documents.parent.name: read_text(arguments.documents, arguments.tokenizer)} | pools
    for title, table in tables(pools, arguments.sets, arguments.only):
        print(
            f"\n{title} ({arguments.sets} data sets, {time.strftime('%H:%M:%S')})\n{table.round(3).to_string()}",
            flush=True,
        )


if __name__ == "__main__":
    main()
