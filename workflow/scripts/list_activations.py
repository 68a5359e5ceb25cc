from pathlib import Path

from layerscope.io.tables import write_csv
from layerscope.summarize.kept_sites import kept_sites
from layerscope.workflow.job import job

with job(snakemake) as task:
    write_csv(task.output[0], kept_sites(Path(task.output[0]).parent, task.params.spec["rows"]))
