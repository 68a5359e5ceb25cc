import pandas as pd

from layerscope.job import job
from layerscope.token_similarity.draw import draw_moments

with job(snakemake) as task:
    draw_moments(task.output, task.wildcards.model, pd.read_csv(task.input[0]))
