# One self-contained page: what was run, what was found, and all figures.


def reported(study):
    """What the report reads of a study: its tables, its figures, and files that say how the values came about."""
    figures, vectors = (
        [f"<results>/{study.name}/figures/{figure.name}.{kind}" for figure in study.drawn()] for kind in ("png", "svg")
    )
    files = {**study.inputs(study.tables()), "figures": figures, "vectors": vectors, "runs": ancient(study.described())}
    return {f"{study.name}_{key}": paths for key, paths in files.items()}


CLAIMS = [f"<results>/{study.name}/claims.csv" for study in STUDIES.values() if study.makes_claims]


rule collect_claims:
    input:
        CLAIMS,
    output:
        "<results>/claims.csv",
    log:
        "<logs>/collect_claims.log",
    localrule: True
    params:
        spec=SPECS.script("collect_claims"),
    message:
        "Collect the claims of all studies"
    script:
        "../scripts/collect_claims.py"


rule report:
    input:
        **{key: paths for study in STUDIES.values() for key, paths in reported(study).items()},
        claims=["<results>/claims.csv"] if CLAIMS else [],
        kept=[ACTIVATIONS] if CONFIG.activations else [],
        # It links there, and adds up what all other jobs took.
        explorer=ancient([EXPLORER] if "token_length" in STUDIES else []),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    params:
        spec=SPECS.report(),
    message:
        "Write the report"
    script:
        "../scripts/report.py"
