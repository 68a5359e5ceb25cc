from layerscope.io.tables import write_csv
from layerscope.studies.token_length.summarize_matches import matches_table
from layerscope.workflow.job import job

with job(snakemake) as task:
    named = enumerate(task.params.spec["pairs"])
    pairs = {tuple(pair): list(task.input[f"pair_{number}"]) for number, pair in named}
    write_csv(task.output[0], matches_table(pairs))
