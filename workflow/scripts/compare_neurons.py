from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.pairs import matches_table

with job(snakemake) as task:
    pairs = {(model, other): list(task.input[f"{model}_{other}"]) for model, other in task.params.spec["pairs"]}
    with whole_file(task.output[0]) as temporary:
        matches_table(pairs).to_csv(temporary, index=False)
