from layerscope.fetch.models import fetch_model
from layerscope.files import write_json
from layerscope.job import job

with job(snakemake) as task:
    write_json(task.output[0], fetch_model(task.wildcards.model, task.params.spec))
