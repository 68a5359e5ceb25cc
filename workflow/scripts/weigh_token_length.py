from pathlib import Path

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.evidence import evidence_table

with job(snakemake) as task:
    of_model = [
        {model: [path for path in paths if Path(path).parts[-2] == model] for model in task.params.spec["models"]}
        for paths in (task.input.neurons, task.input.draws)
    ]
    with whole_file(task.output[0]) as temporary:
        evidence_table(*of_model).to_csv(temporary, index=False)
