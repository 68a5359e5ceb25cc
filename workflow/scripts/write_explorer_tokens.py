from layerscope.explorer.corpus_text import write_chunks, write_vocabulary
from layerscope.io.files import read_json
from layerscope.read.tables import table_of
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.workflow.job import job

with job(snakemake) as task:
    name, vocabulary = task.wildcards.tokenizer, table_of(task.input.vocabulary)
    write_vocabulary(task.output.vocabulary, name, load_tokenizer(read_json(task.input.tokenizer)), vocabulary)
    tokens, attributes = read_token_shards(task.input.tokens, [vocabulary])
    write_chunks(task.output.chunks, name, tokens, int(attributes["sequence_length"]))
