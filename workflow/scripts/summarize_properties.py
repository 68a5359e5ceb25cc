from layerscope.io.tables import write_csv
from layerscope.studies.token_length.summarize_properties import properties_table
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    table = properties_table(inputs_of_models(task, "neurons"), inputs_of_models(task, "resamples"))
    write_csv(task.output[0], table)
