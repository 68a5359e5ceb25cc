from layerscope.tokenize.token_shards import write_token_shard
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.workflow.job import job

with job(snakemake) as task:
    tokens, attributes = tokenize_shard(task.input.documents, task.params.spec, int(task.wildcards.shard))
    write_token_shard(task.output[0], tokens, attributes)
