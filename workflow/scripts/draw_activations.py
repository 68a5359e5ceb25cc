from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_length.draw_sample import draw_activations

with job(snakemake) as task:
    tables = [read_table(path) for path in task.input]
    draw_activations(task.output, task.wildcards.model, task.params.spec["layer"], *tables)
