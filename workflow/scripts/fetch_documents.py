from layerscope.fetch.corpora import fetch_documents
from layerscope.io.files import read_json
from layerscope.workflow.job import job

with job(snakemake, network=True) as task:
    fetch_documents(
        task.wildcards.corpus,
        task.params.spec,
        read_json(task.input.corpus),
        read_json(task.input.tokenizer),
        task.output[0],
    )
