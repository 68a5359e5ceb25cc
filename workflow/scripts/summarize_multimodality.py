from layerscope.io.tables import write_csv
from layerscope.studies.token_length.summarize_multimodality import multimodality_table
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    table = multimodality_table(inputs_of_models(task, "dips"), inputs_of_models(task, "simulated"))
    write_csv(task.output[0], table)
