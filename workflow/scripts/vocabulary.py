from layerscope.io.tables import read_table, write_table
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.tokenize.vocabulary import vocabulary_table
from layerscope.workflow.job import job

with job(snakemake) as task:
    types = read_table(task.input.frequency)
    sample, attributes = read_token_shards(task.input.tokens, [types])
    write_table(task.output[0], vocabulary_table(types, sample.input_ids), attributes)
