from layerscope.job import job
from layerscope.tables import read_table, write_csv
from layerscope.token_similarity.claims import claims_table

with job(snakemake) as task:
    tables = {model: read_table(task.input[f"of_{model}"]) for model in task.params.spec["models"]}
    write_csv(task.output[0], claims_table(tables, task.params.spec["controls"]))
