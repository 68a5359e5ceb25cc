import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw_sample import draw_token_lengths

with job(snakemake) as task:
    draw_token_lengths(task.output, {name: pd.read_parquet(path) for name, path in task.input.items()})
