import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw import draw_r_by_layer

with job(snakemake) as task:
    draw_r_by_layer(task.output, task.wildcards.model, [pd.read_parquet(path) for path in task.input])
