from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.pairs import matches_table

with job(snakemake) as task:
    named = enumerate(task.params.spec["pairs"])
    pairs = {tuple(pair): list(task.input[f"pair_{number}"]) for number, pair in named}
    with whole_file(task.output[0]) as temporary:
        matches_table(pairs).to_csv(temporary, index=False)
