import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw_modality import draw_multimodality

with job(snakemake) as task:
    draw_multimodality(task.output, pd.read_csv(task.input[0]))
