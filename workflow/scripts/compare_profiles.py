import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.pairs import profiles_table

with job(snakemake) as task:
    table = profiles_table(pd.read_csv(task.input[0]), task.params.spec["pairs"])
    with whole_file(task.output[0]) as temporary:
        table.to_csv(temporary, index=False)
