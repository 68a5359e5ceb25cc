from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_similarity.draw import draw_cosines

with job(snakemake) as task:
    bins = [read_table(path) for path in task.input]
    draw_cosines(task.output, task.wildcards.model, bins, centred=False)
