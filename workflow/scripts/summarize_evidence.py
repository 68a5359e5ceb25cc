from layerscope.io.tables import write_csv
from layerscope.studies.token_length.summarize_evidence import evidence_table
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    table = evidence_table(inputs_of_models(task, "inference"), inputs_of_models(task, "resamples"))
    write_csv(task.output[0], table)
