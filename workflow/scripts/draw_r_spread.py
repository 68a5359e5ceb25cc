from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_length.draw_r import draw_r_spread

with job(snakemake) as task:
    draw_r_spread(task.output, read_csv(task.input.layers), read_csv(task.input.evidence))
