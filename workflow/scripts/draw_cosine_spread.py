from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_similarity.draw import draw_spread

with job(snakemake) as task:
    draw_spread(task.output, task.wildcards.model, read_csv(task.input[0]))
