from layerscope.job import job
from layerscope.tables import write_csv
from layerscope.token_length.matches import matches_table

with job(snakemake) as task:
    named = enumerate(task.params.spec["pairs"])
    pairs = {tuple(pair): list(task.input[f"pair_{number}"]) for number, pair in named}
    write_csv(task.output[0], matches_table(pairs))
