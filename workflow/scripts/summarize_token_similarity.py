from layerscope.io.tables import write_csv
from layerscope.studies.token_similarity.summarize_layers import layers_table
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    table = layers_table(inputs_of_models(task))
    write_csv(task.output[0], table)
