from layerscope.fetch.models import fetch_tokenizer
from layerscope.io.files import write_json
from layerscope.workflow.job import job

with job(snakemake, network=True) as task:
    write_json(task.output[0], fetch_tokenizer(task.wildcards.tokenizer, task.params.spec))
