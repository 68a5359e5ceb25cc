from layerscope.files import whole_file
from layerscope.job import inputs_of_models, job
from layerscope.token_length.multimodality import multimodality_table

with job(snakemake) as task:
    table = multimodality_table(inputs_of_models(task, "modality"), inputs_of_models(task, "unimodal"))
    with whole_file(task.output[0]) as temporary:
        table.to_csv(temporary, index=False)
