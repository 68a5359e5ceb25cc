from layerscope.fetch.corpora import hub_documents
from layerscope.io.files import read_json
from layerscope.tokenize.encoding import encode_part
from layerscope.workflow.job import job

with job(snakemake, network=True) as task:
    encode_part(
        read_json(task.input.corpus),
        read_json(task.input.tokenizer),
        int(task.wildcards.part),
        task.input.get("previous"),
        hub_documents,
        task.output[0],
    )
