from layerscope.io.files import read_json
from layerscope.studies.token_similarity.extract import extract_vectors
from layerscope.workflow.job import job

with job(snakemake) as task:
    extract_vectors(
        read_json(task.input.model),
        read_json(task.input.tokenizer),
        task.params.spec,
        task.config["extraction"]["device"],
        task.threads,
        task.output[0],
    )
