from layerscope.job import inputs_of_models, job
from layerscope.path_length.compare import layers_table
from layerscope.tables import write_csv

with job(snakemake) as task:
    table = layers_table(inputs_of_models(task))
    write_csv(task.output[0], table)
