from layerscope.job import inputs_of_models, job
from layerscope.tables import write_csv
from layerscope.token_length.evidence import evidence_table

with job(snakemake) as task:
    table = evidence_table(inputs_of_models(task, "assessed"), inputs_of_models(task, "draws"))
    write_csv(task.output[0], table)
