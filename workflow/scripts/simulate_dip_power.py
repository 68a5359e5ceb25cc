from layerscope.job import job
from layerscope.tables import read_table, write_csv
from layerscope.token_length.dip import dip_power_table
from layerscope.tokenize.token_shards import read_token_shards

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    tokens, _ = read_token_shards(task.input.tokens, [vocabulary])
    settings = {key: task.params.spec[key] for key in ("draws", "seed")}
    write_csv(task.output[0], dip_power_table(vocabulary, tokens.input_ids, **settings))
