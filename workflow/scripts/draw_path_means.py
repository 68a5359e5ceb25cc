from layerscope.job import job
from layerscope.path_length.draw import draw_mean_length
from layerscope.tables import read_csv

with job(snakemake) as task:
    draw_mean_length(task.output, read_csv(task.input[0]), task.params.spec["token_filter"])
