from layerscope.io.tables import read_table, write_csv
from layerscope.studies.token_length.dip_test import dip_power_table
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.workflow.job import job

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    tokens, _ = read_token_shards(task.input.tokens, [vocabulary], first=True)
    stored = tokens.input_ids[: task.params.spec["stored_tokens"]]
    settings = {key: task.params.spec[key] for key in ("resamples", "seed")}
    write_csv(task.output[0], dip_power_table(vocabulary, stored, **settings))
