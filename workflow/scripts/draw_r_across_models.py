import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw_r import draw_r_across_models

with job(snakemake) as task:
    draw_r_across_models(task.output, pd.read_csv(task.input.layers), pd.read_csv(task.input.evidence))
