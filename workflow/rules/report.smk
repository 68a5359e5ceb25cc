# One self-contained page with what was run, what was found, and every figure.


def first_shards():
    """One activation shard of each sample: its attributes say how the values came about."""
    return [
        shards_of(model, study.corpus, "h5")[0]
        for study in STUDIES
        for model in study.models
    ]


rule report:
    input:
        layers="results/token_length/layers.csv",
        figures=token_length_figures(),
        vocabularies=sorted(
            {
                vocabulary_of(model, TOKEN_LENGTH.corpus)
                for model in TOKEN_LENGTH.models
            }
        ),
        shards=ancient(first_shards()),
        captions=ancient(sorted(Path(workflow.basedir).glob("workflow/report/*.rst"))),
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
