# The figures of all studies: one rule per study for those of models, and one for each other kind that it has.


def inputs_of(study, figures):
    """What figures read, each file once: pattern → paths."""
    patterns = dict.fromkeys(pattern for figure in figures for pattern in figure.reads.values())
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
    for shows, figures in study.figures_by_kind().items():
        drawing = study.name + {"models": "", "pairs of models": "_pairs", "sample": "_sample"}[shows]

        rule:
            name:
                f"draw_{drawing}"
            input:
                **inputs_of(study, figures),
            output:
                **{figure.name: files_of(study, figure) for figure in figures},
            log:
                f"<logs>/draw/{drawing}.log",
            localrule: True
            params:
                spec=SPECS.figures(study, figures),
            message:
                f"{study.title}: draw the figures of the {shows}"
            script:
                "../scripts/draw.py"
