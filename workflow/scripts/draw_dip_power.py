from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_length.draw_modality import draw_dip_power

with job(snakemake) as task:
    tables = {name.removeprefix("of_"): read_csv(path) for name, path in task.input.items()}
    draw_dip_power(task.output, tables)
