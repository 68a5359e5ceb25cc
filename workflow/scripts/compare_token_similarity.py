from layerscope.files import whole_file
from layerscope.job import inputs_of_models, job
from layerscope.token_similarity.compare import layers_table

with job(snakemake) as task:
    table = layers_table(inputs_of_models(task))
    with whole_file(task.output[0]) as temporary:
        table.to_csv(temporary, index=False)
