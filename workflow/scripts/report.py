from pathlib import Path

from layerscope.job import job
from layerscope.path_length.section import path_length_section
from layerscope.report.claims import claims_of
from layerscope.report.page import write_report
from layerscope.token_length.section import token_length_section
from layerscope.token_similarity.section import token_similarity_section

SECTIONS = {
    "token_length": token_length_section,
    "token_similarity": token_similarity_section,
    "path_length": path_length_section,
}

with job(snakemake) as task:
    root, settings = Path(task.output[0]).parent, task.params.spec["settings"]
    captions = {Path(path).stem: Path(path).read_text(encoding="utf-8") for path in task.input.captions}
    sections = []
    for study in (name for name, chosen in settings["studies"].items() if chosen):
        files = {key.removeprefix(f"{study}_"): paths for key, paths in task.input.items() if key.startswith(study)}
        sections.append(SECTIONS[study](files, captions, root))
    claims = claims_of(task.input.claims)
    write_report(task.output[0], claims, sections, task.input.runs, settings, Path(task.scriptdir))
