from layerscope.files import read_json
from layerscope.job import job
from layerscope.provenance import text_origin
from layerscope.tables import write_table
from layerscope.tokenize.documents import documents_of_corpus
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.tokenizer import load_tokenizer

with job(snakemake) as task:
    spec = task.params.spec
    corpus, tokenizer = read_json(task.input.corpus), read_json(task.input.tokenizer)
    texts = documents_of_corpus(corpus, spec["text_field"], task.input.get("documents"))
    table = frequency_table(load_tokenizer(tokenizer), texts, spec["tokens"])
    write_table(task.output[0], table, text_origin(corpus, tokenizer))
