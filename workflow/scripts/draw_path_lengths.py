from layerscope.job import job
from layerscope.path_length.draw import draw_lengths

with job(snakemake) as task:
    draw_lengths(task.output, task.wildcards.model, list(task.input))
