# One self-contained page with what was run, what was found, and every figure.

import os


def reported(name):
    """What the report reads of a study: its table and its figures."""
    figures = [f"results/{name}/figures/{figure}.png" for figure in FIGURES[name]]
    return {f"{name}_layers": f"results/{name}/layers.csv", f"{name}_figures": figures}


rule report:
    input:
        **{key: path for name in STUDIES for key, path in reported(name).items()},
        **TABLES,
        # One file of each model and study: its attributes say how the values came about.
        vocabularies=VOCABULARIES,
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
