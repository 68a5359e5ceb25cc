import pandas as pd

from layerscope.job import job
from layerscope.path_length.draw import draw_r

with job(snakemake) as task:
    draw_r(task.output, task.wildcards.model, pd.read_csv(task.input[0]))
