from layerscope.io.files import read_json
from layerscope.tokenize.documents import local_documents
from layerscope.tokenize.encoding import encode_part
from layerscope.workflow.job import job

with job(snakemake) as task:
    encode_part(
        read_json(task.input.corpus),
        read_json(task.input.tokenizer),
        int(task.wildcards.part),
        task.input.get("previous"),
        local_documents,
        task.output[0],
    )
