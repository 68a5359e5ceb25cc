"""What a run cost, from the benchmark files that Snakemake writes beside logs."""

from pathlib import Path

import pandas as pd

from layerscope.report.tables import Table

ENDING = ".benchmark.tsv"


def cost(logs: Path) -> tuple[str, Table] | None:
    """A sentence and a table of the rules, those with most processor time first; None without such files."""
    rows = []
    for path in sorted(logs.rglob(f"*{ENDING}")):
        measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
        rule = path.relative_to(logs).parts[0]
        rows.append({"rule": rule, **{name: float(measured[name]) for name in ("s", "cpu_time", "max_rss")}})
    if not rows:
        return None
    of_rules = (
        pd.DataFrame(rows)
        .groupby("rule")
        .agg(jobs=("s", "size"), wall=("s", "sum"), cpu=("cpu_time", "sum"), memory=("max_rss", "max"))
        .sort_values("cpu", ascending=False)
        .round()
        .astype(int)
        .reset_index()
    )
    headings = {"rule": "rule", "jobs": "jobs", "wall": "wall time, s", "cpu": "CPU time, s", "memory": "memory, MiB"}
    sentence = (
        f"The {of_rules['jobs'].sum():,} jobs that were measured took {_time(of_rules['wall'].sum())} of wall time in "
        f"sum and {_time(of_rules['cpu'].sum())} of CPU time, and the largest of them "
        f"{of_rules['memory'].max():,} MiB of memory. Jobs that join tables or draw figures are not measured."
    )
    return sentence, Table.of(of_rules, headings)


def _time(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 10_800 else f"{seconds / 3600:.1f} h"
