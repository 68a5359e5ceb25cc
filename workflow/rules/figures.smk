# The figures of all studies: per study, one rule for those with one file per model, and one for the others.

from functools import partial


def inputs_of(study, figures, of_models):
    """What the figures read, each file once: pattern → paths, or a function of the wildcards."""
    patterns = dict.fromkeys(pattern for figure in figures for pattern in figure.reads.values())
    if of_models:
        return {pattern: partial(input_of, study, pattern) for pattern in patterns}
    return study.inputs({pattern: pattern for pattern in patterns})


def input_of(study, pattern, wildcards):
    return study.inputs({pattern: pattern}, model=wildcards.model)[pattern]


def files_of(study, figure):
    """A PNG for the report, and a PDF; `update` keeps them until the job has found out which are due."""
    png = report(
        update(f"<results>/{study.name}/figures/{figure.file}.png"),
        caption=str(study.caption(figure)),
        category=study.title,
        subcategory="{model}" if figure.shows == "model" else figure.shows,
        labels={"figure": figure.label},
    )
    return [png, update(f"<results>/{study.name}/figures/{figure.file}.pdf")]


for study in STUDIES.values():
    for of_models in (True, False):
        figures = [figure for figure in study.drawn() if (figure.shows == "model") == of_models]
        if not figures:
            continue

        rule:
            name:
                f"draw_{study.name}_of_models" if of_models else f"draw_{study.name}"
            input:
                **inputs_of(study, figures, of_models),
            output:
                **{figure.name: files_of(study, figure) for figure in figures},
            log:
                f"<logs>/draw/{study.name}_{{model}}.log" if of_models else f"<logs>/draw/{study.name}.log",
            localrule: True
            params:
                spec=SPECS.figures(study, figures),
            message:
                f"{study.title}: draw the figures " + ("of {wildcards.model}" if of_models else "of all models")
            script:
                "../scripts/draw.py"
