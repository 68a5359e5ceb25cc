from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_length.draw_sample import draw_token_lengths

with job(snakemake) as task:
    tables = {name.removeprefix("of_"): read_table(path) for name, path in task.input.items()}
    draw_token_lengths(task.output, tables)
