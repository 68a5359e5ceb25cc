from layerscope.io.tables import read_table, write_csv
from layerscope.studies.token_length.confounds import sample_confounds
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.workflow.job import job

with job(snakemake) as task:
    tables = [read_table(task.input.vocabulary), read_table(task.input.frequency)]
    tokens, _ = read_token_shards(task.input.tokens, tables)
    table = sample_confounds(*tables, tokens)
    write_csv(task.output[0], table)
