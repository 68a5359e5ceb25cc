# One self-contained page with what was run, what was found, and every figure.

import os


def reported(name):
    """What the report reads of a study: its tables and its figures."""
    figures = [f"results/{name}/figures/{figure}.png" for figure in FIGURES[name]]
    files = {"layers": f"results/{name}/layers.csv", "figures": figures, **TABLES.get(name, {})}
    return {f"{name}_{key}": paths for key, paths in files.items()}


rule collect_claims:
    input:
        CLAIMS,
    output:
        "results/claims.csv",
    log:
        "logs/collect_claims.log",
    localrule: True
    params:
        spec=SPECS.script("collect_claims"),
    message:
        "Collect the claims of all studies"
    script:
        "../scripts/collect_claims.py"


rule report:
    input:
        **{key: path for name in STUDIES for key, path in reported(name).items()},
        # One file of each model and study: its attributes say how the values came about.
        claims=["results/claims.csv"] if CLAIMS else [],
        runs=ancient(RUNS),
        # Their digest is in the spec. Paths from here, so that a project that was moved has the same inputs.
        captions=ancient(sorted(map(os.path.relpath, Path(workflow.basedir).glob("workflow/report/*.rst")))),
    output:
        "results/report.html",
    log:
        "logs/report.log",
    localrule: True
    params:
        spec=SPECS.report(),
    message:
        "Write the report"
    script:
        "../scripts/report.py"
