from layerscope.job import job
from layerscope.path_length.draw import draw_r
from layerscope.tables import read_csv

with job(snakemake) as task:
    draw_r(task.output, task.wildcards.model, read_csv(task.input[0]))
