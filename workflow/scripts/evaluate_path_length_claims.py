from layerscope.io.tables import read_table, write_csv
from layerscope.studies.path_length.claims import claims_table
from layerscope.workflow.job import job

with job(snakemake) as task:
    tables = {model: read_table(task.input[f"of_{model}"]) for model in task.params.spec["models"]}
    write_csv(task.output[0], claims_table(tables, task.params.spec["untrained"]))
