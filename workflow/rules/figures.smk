# The figures of all studies: one rule per study.


def inputs_of(study):
    """What the figures read, each file once: pattern → paths."""
    patterns = dict.fromkeys(pattern for figure in study.drawn() for pattern in figure.reads.values())
    return study.inputs({pattern: pattern for pattern in patterns})


def files_of(study, figure):
    """A PNG, a PDF and an SVG; `update` keeps them until the job has found out which are due."""
    png = report(
        update(f"<results>/{study.name}/figures/{figure.name}.png"),
        caption=str(study.caption(figure)),
        category=study.title,
        subcategory=figure.shows,
        labels={"figure": figure.label},
    )
    return [png, *(update(f"<results>/{study.name}/figures/{figure.name}.{kind}") for kind in ("pdf", "svg"))]


for study in STUDIES.values():

    rule:
        name:
            f"draw_{study.name}"
        input:
            **inputs_of(study),
        output:
            **{figure.name: files_of(study, figure) for figure in study.drawn()},
        log:
            f"<logs>/draw/{study.name}.log",
        localrule: True
        params:
            spec=SPECS.figures(study, study.drawn()),
        message:
            f"{study.title}: draw the figures"
        script:
            "../scripts/draw.py"
