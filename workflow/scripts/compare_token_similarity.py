from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_similarity.compare import layers_table

with job(snakemake) as task:
    tables = {model: list(task.input[f"of_{model}"]) for model in task.params.spec["models"]}
    with whole_file(task.output[0]) as temporary:
        layers_table(tables).to_csv(temporary, index=False)
