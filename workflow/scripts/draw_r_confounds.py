import pandas as pd

from layerscope.job import job
from layerscope.token_length.draw_r import draw_r_confounds

with job(snakemake) as task:
    evidence = pd.read_csv(task.input[0])
    model = task.wildcards.model
    draw_r_confounds(task.output, model, evidence[evidence["model"] == model])
