from layerscope.job import inputs_of_models, job
from layerscope.tables import write_csv
from layerscope.token_similarity.compare import layers_table

with job(snakemake) as task:
    table = layers_table(inputs_of_models(task))
    write_csv(task.output[0], table)
