from layerscope.io.tables import write_table
from layerscope.studies.path_length.jackknife import jackknife_paths
from layerscope.workflow.job import job

with job(snakemake) as task:
    write_table(task.output[0], jackknife_paths(list(task.input.shards)))
