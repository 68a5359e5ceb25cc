import pandas as pd

from layerscope.job import job
from layerscope.tables import read_csv, write_csv

with job(snakemake) as task:
    claims = pd.concat(map(read_csv, task.input), ignore_index=True)
    claims = claims.sort_values("about", key=lambda about: about == "sample", kind="stable")
    write_csv(task.output[0], claims)
