from layerscope.job import job
from layerscope.tables import read_csv, write_csv
from layerscope.token_length.pairs import profiles_table

with job(snakemake) as task:
    tables = (read_csv(task.input.layers), read_csv(task.input.evidence))
    table = profiles_table(*tables, task.params.spec["pairs"])
    write_csv(task.output[0], table)
