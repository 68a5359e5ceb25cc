import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw import draw_activations

with job(snakemake) as task:
    draw_activations(task.output, task.wildcards.model, task.params.spec["layer"], pd.read_parquet(task.input[0]))
