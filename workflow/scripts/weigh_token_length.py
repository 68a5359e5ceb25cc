from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.evidence import evidence_table

with job(snakemake) as task:
    neurons, draws = (
        {model: list(task.input[f"{table}_{model}"]) for model in task.params.spec["models"]}
        for table in ("assessed", "draws")
    )
    with whole_file(task.output[0]) as temporary:
        evidence_table(neurons, draws).to_csv(temporary, index=False)
