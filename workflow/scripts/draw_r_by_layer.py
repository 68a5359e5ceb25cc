from layerscope.job import job
from layerscope.tables import read_csv, read_table
from layerscope.token_length.draw_distribution import draw_r_by_layer

with job(snakemake) as task:
    tables = [read_table(path) for path in task.input.layers]
    draw_r_by_layer(task.output, task.wildcards.model, tables, read_csv(task.input.evidence))
