from layerscope.files import whole_file
from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_similarity.claims import claims_table

with job(snakemake) as task:
    tables = {model: read_table(task.input[f"of_{model}"]) for model in task.params.spec["models"]}
    with whole_file(task.output[0]) as temporary:
        claims_table(tables, task.params.spec["controls"]).to_csv(temporary, index=False)
