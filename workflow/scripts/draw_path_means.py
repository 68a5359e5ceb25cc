import pandas as pd

from layerscope.job import job
from layerscope.path_length.draw import draw_mean_length

with job(snakemake) as task:
    draw_mean_length(task.output, pd.read_csv(task.input[0]), task.params.spec["token_filter"])
