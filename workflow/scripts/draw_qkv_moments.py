from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_similarity.draw import draw_moments

with job(snakemake) as task:
    draw_moments(task.output, task.wildcards.model, read_csv(task.input[0]))
