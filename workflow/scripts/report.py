from pathlib import Path

from layerscope.job import job
from layerscope.path_length.section import path_length_section
from layerscope.report.page import write_report
from layerscope.token_length.section import token_length_section
from layerscope.token_similarity.section import token_similarity_section

with job(snakemake) as task:
    given, root = task.input, Path(task.output[0]).parent
    settings = task.params.spec["settings"]
    captions = {Path(path).stem: Path(path).read_text(encoding="utf-8") for path in given.captions}
    sections = []
    if settings["studies"]["token_length"]:
        table, figures = given.token_length_layers, given.token_length_figures
        evidence = (given.evidence, given.confounds)
        sections.append(token_length_section(table, figures, given.vocabularies, evidence, captions, root))
    if settings["studies"]["token_similarity"]:
        table, figures = given.token_similarity_layers, given.token_similarity_figures
        sections.append(token_similarity_section(table, figures, captions, root))
    if settings["studies"]["path_length"]:
        sections.append(path_length_section(given.path_length_layers, given.path_length_figures, captions, root))
    write_report(task.output[0], sections, given.runs, settings, Path(task.scriptdir))
