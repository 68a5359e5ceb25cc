from layerscope.io.tables import read_table
from layerscope.studies.path_length.extract import paths_of_stored
from layerscope.studies.path_length.path_shards import write_path_shard
from layerscope.workflow.job import job

with job(snakemake) as task:
    reduced = paths_of_stored(task.input.shard, read_table(task.input.types), task.params.spec["layers"])
    write_path_shard(task.output[0], *reduced)
