from layerscope.io.tables import read_table, write_csv
from layerscope.studies.path_length.summarize_layers import layers_table
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    shards = inputs_of_models(task)
    vocabularies = {model: read_table(task.input[f"vocabulary_{model}"]) for model in shards}
    write_csv(task.output[0], layers_table(shards, vocabularies))
