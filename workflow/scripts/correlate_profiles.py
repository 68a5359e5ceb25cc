from layerscope.io.tables import read_csv, write_csv
from layerscope.studies.token_length.profiles import profiles_table
from layerscope.workflow.job import job

with job(snakemake) as task:
    tables = (read_csv(task.input.layers), read_csv(task.input.evidence))
    table = profiles_table(*tables, task.params.spec["pairs"])
    write_csv(task.output[0], table)
