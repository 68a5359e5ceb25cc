import pandas as pd

from layerscope.job import job
from layerscope.token_similarity.draw import draw_cosines

with job(snakemake) as task:
    bins = [pd.read_parquet(path) for path in task.input]
    draw_cosines(task.output, task.wildcards.model, bins, centred=False)
