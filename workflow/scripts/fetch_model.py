from layerscope.fetch.models import fetch_model
from layerscope.io.files import read_json, write_json
from layerscope.workflow.job import job

with job(snakemake, network=True) as task:
    record = fetch_model(task.wildcards.model, task.params.spec, read_json(task.input.tokenizer))
    write_json(task.output[0], record)
