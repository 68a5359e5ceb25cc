from layerscope.io.files import read_json
from layerscope.io.tables import read_table
from layerscope.studies.path_length.extract import extract_paths
from layerscope.studies.path_length.path_shards import write_path_shard
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec = task.params.spec
    reduced = extract_paths(
        task.input.tokens,
        read_table(task.input.types),
        read_json(task.input.model),
        spec,
        task.config["extraction"]["device"],
        task.threads,
    )
    write_path_shard(task.output[0], *reduced, spec["stored_sequences"])
