from layerscope.io.files import read_json
from layerscope.io.provenance import text_origin
from layerscope.io.tables import write_table
from layerscope.tokenize.documents import documents_of_corpus
from layerscope.tokenize.frequency import frequency_table
from layerscope.tokenize.packing import token_runs
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec = task.params.spec
    corpus, tokenizer = read_json(task.input.corpus), read_json(task.input.tokenizer)
    texts = documents_of_corpus(corpus, spec["text_field"], task.input.get("documents"))
    loaded = load_tokenizer(tokenizer)
    table = frequency_table(loaded, token_runs(loaded, texts), spec["tokens"])
    write_table(task.output[0], table, text_origin(corpus, tokenizer))
