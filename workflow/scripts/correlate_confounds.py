from layerscope.io.tables import read_table, write_csv
from layerscope.studies.token_length.confounds import sample_confounds
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.workflow.job import job

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    tokens, _ = read_token_shards(task.input.tokens, [vocabulary])
    table = sample_confounds(vocabulary, tokens)
    write_csv(task.output[0], table)
