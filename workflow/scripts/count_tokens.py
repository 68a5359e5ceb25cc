from layerscope.files import read_json, whole_file
from layerscope.job import job
from layerscope.tokenize.documents import documents_of_corpus
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.tokenizer import load_tokenizer

with job(snakemake) as task:
    spec = task.params.spec
    texts = documents_of_corpus(read_json(task.input.corpus), spec["text_field"], task.input.get("documents"))
    table = frequency_table(load_tokenizer(read_json(task.input.tokenizer)), texts, spec["tokens"])
    with whole_file(task.output[0]) as temporary:
        table.to_parquet(temporary, compression="zstd")
