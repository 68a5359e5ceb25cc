from layerscope.io.files import read_json
from layerscope.tokenize.token_shards import write_token_shard
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.workflow.job import job

with job(snakemake) as task:
    tokens, attributes = tokenize_shard(
        read_json(task.input.corpus),
        read_json(task.input.tokenizer),
        task.params.spec,
        int(task.wildcards.shard),
        task.input.get("documents"),
    )
    write_token_shard(task.output[0], tokens, attributes)
