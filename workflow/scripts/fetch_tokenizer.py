from layerscope.fetch.models import fetch_tokenizer
from layerscope.files import write_json
from layerscope.job import job

with job(snakemake, network=True) as task:
    write_json(task.output[0], fetch_tokenizer(task.wildcards.tokenizer, task.params.spec))
