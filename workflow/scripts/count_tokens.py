from layerscope.io.files import read_json
from layerscope.io.tables import write_table
from layerscope.tokenize.encoded_documents import documents_in, read_parts
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.workflow.job import job

with job(snakemake) as task:
    parts, origin = read_parts(task.input.documents)
    loaded = load_tokenizer(read_json(task.input.tokenizer))
    table = frequency_table(loaded, documents_in(parts), task.params.spec["tokens"])
    write_table(task.output[0], table, origin)
