from layerscope.job import job
from layerscope.path_length.draw_r import draw_r
from layerscope.tables import read_csv, read_table

with job(snakemake) as task:
    draw_r(task.output, task.wildcards.model, read_csv(task.input.layers), read_table(task.input.draws))
