from layerscope.files import read_json
from layerscope.job import job
from layerscope.path_length.extract import extract_paths
from layerscope.path_length.shards import write_path_shard

with job(snakemake) as task:
    values, tokens, attributes = extract_paths(
        task.input.tokens,
        read_json(task.input.model),
        task.params.spec,
        task.config["extraction"]["device"],
        task.threads,
    )
    write_path_shard(task.output[0], values, tokens, attributes)
