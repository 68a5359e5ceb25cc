from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.lengths_by_document import lengths_by_document
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.workflow.job import job

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    tokens, _ = read_token_shards(task.input.tokens, [vocabulary])
    table = lengths_by_document(vocabulary, tokens)
    write_table(task.output[0], table)
