from layerscope.files import whole_file
from layerscope.job import inputs_of_models, job
from layerscope.token_length.evidence import evidence_table

with job(snakemake) as task:
    table = evidence_table(inputs_of_models(task, "assessed"), inputs_of_models(task, "draws"))
    with whole_file(task.output[0]) as temporary:
        table.to_csv(temporary, index=False)
