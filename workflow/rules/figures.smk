# The figures of all studies: one rule per figure, so that a setting redraws one figure and not all.

from functools import partial


def inputs_of(study, figure):
    """What a figure reads; functions of the wildcards if there is one figure per model."""
    if figure.shows != "model":
        return study.inputs(figure.reads)
    return {name: partial(input_of, study, figure, name) for name in figure.reads}


def input_of(study, figure, name, wildcards):
    return study.inputs(figure.reads, model=wildcards.model)[name]


for study in STUDIES.values():
    for figure in study.drawn():

        rule:
            name:
                f"draw_{figure.name}"
            input:
                **inputs_of(study, figure),
            output:
                # A PNG for the report, and a PDF. `report` must not begin a line: Snakemake would mistake it for its
                # directive.
                [
                    report(
                        f"<results>/{study.name}/figures/{figure.file}.png",
                        caption=str(study.caption(figure)),
                        category=study.title,
                        subcategory="{model}" if figure.shows == "model" else figure.shows,
                        labels={"figure": figure.label},
                    ),
                    f"<results>/{study.name}/figures/{figure.file}.pdf",
                ],
            log:
                f"<logs>/draw/{figure.file}.log",
            localrule: True
            params:
                spec=SPECS.figure(study, figure),
            message:
                f"{study.title}: draw {figure.label}" + (" of {wildcards.model}" if figure.shows == "model" else "")
            script:
                "../scripts/draw.py"
