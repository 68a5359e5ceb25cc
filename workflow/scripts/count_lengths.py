from layerscope.job import job
from layerscope.tables import read_table, write_table
from layerscope.token_length.sample import lengths_by_sequence
from layerscope.tokenize.token_shards import Tokens, read_token_shard

with job(snakemake) as task:
    tokens = Tokens.join(read_token_shard(path)[0] for path in task.input.tokens)
    table = lengths_by_sequence(read_table(task.input.vocabulary), tokens)
    write_table(task.output[0], table)
