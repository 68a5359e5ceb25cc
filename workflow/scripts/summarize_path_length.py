from layerscope.io.tables import write_csv
from layerscope.studies.path_length.summarize_layers import layers_table
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    write_csv(task.output[0], layers_table(inputs_of_models(task)))
