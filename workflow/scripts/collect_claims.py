import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job

with job(snakemake) as task:
    claims = pd.concat(map(pd.read_csv, task.input), ignore_index=True)
    with whole_file(task.output[0]) as temporary:
        claims.to_csv(temporary, index=False)
