import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw_pairs import draw_profiles

with job(snakemake) as task:
    draw_profiles(task.output, pd.read_csv(task.input[0]))
