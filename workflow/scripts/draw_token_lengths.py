from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_length.draw_sample import draw_token_lengths

with job(snakemake) as task:
    draw_token_lengths(task.output, {name: read_table(path) for name, path in task.input.items()})
