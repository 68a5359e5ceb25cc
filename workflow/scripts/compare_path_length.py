from layerscope.job import inputs_of_models, job
from layerscope.path_length.compare import layers_table
from layerscope.tables import read_table, write_csv

with job(snakemake) as task:
    shards = inputs_of_models(task)
    vocabularies = {model: read_table(task.input[f"vocabulary_{model}"]) for model in shards}
    write_csv(task.output[0], layers_table(shards, vocabularies))
