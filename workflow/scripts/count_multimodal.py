from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.multimodality import multimodality_table

with job(snakemake) as task:
    neurons, unimodal = (
        {model: list(task.input[f"{table}_{model}"]) for model in task.params.spec["models"]}
        for table in ("modality", "unimodal")
    )
    with whole_file(task.output[0]) as temporary:
        multimodality_table(neurons, unimodal).to_csv(temporary, index=False)
