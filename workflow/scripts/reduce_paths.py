from layerscope.job import job
from layerscope.path_length.extract import paths_of_stored
from layerscope.path_length.shards import write_path_shard

with job(snakemake) as task:
    values, tokens, attributes = paths_of_stored(task.input.shard, task.params.spec["layers"])
    write_path_shard(task.output[0], values, tokens, attributes)
