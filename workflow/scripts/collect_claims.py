import pandas as pd

from layerscope.io.tables import read_csv, write_csv
from layerscope.workflow.job import job

with job(snakemake) as task:
    claims = pd.concat(map(read_csv, task.input), ignore_index=True)
    claims = claims.sort_values("about", key=lambda about: about == "sample", kind="stable")
    write_csv(task.output[0], claims)
