from layerscope.job import job
from layerscope.path_length.uncertainty import resample_paths
from layerscope.tables import read_table, write_table

with job(snakemake) as task:
    write_table(task.output[0], resample_paths(list(task.input.shards), read_table(task.input.vocabulary)))
