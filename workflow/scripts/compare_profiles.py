import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.pairs import profiles_table

with job(snakemake) as task:
    tables = (pd.read_csv(task.input.layers), pd.read_csv(task.input.evidence))
    table = profiles_table(*tables, task.params.spec["pairs"])
    with whole_file(task.output[0]) as temporary:
        table.to_csv(temporary, index=False)
