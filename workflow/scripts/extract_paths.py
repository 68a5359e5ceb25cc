from layerscope.io.files import read_json
from layerscope.studies.path_length.extract import extract_paths
from layerscope.studies.path_length.path_shards import write_path_shard
from layerscope.workflow.job import job

with job(snakemake) as task:
    values, tokens, attributes = extract_paths(
        task.input.tokens,
        read_json(task.input.model),
        task.params.spec,
        task.config["extraction"]["device"],
        task.threads,
    )
    write_path_shard(task.output[0], values, tokens, attributes)
