from pathlib import Path

from layerscope.job import job
from layerscope.report.page import write_report
from layerscope.token_length.section import token_length_section

with job(snakemake) as task:
    output = Path(task.output[0])
    captions = {Path(path).stem: Path(path).read_text(encoding="utf-8") for path in task.input.captions}
    section = token_length_section(
        task.input.layers, task.input.figures, task.input.vocabularies, captions, output.parent
    )
    write_report(task.output[0], [section], task.input.shards, task.params.spec["settings"], Path(task.scriptdir))
