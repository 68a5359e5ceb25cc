import pandas as pd

from layerscope.io.tables import write_table
from layerscope.studies.token_similarity.jackknife import jackknife_layer
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.workflow.job import job

with job(snakemake) as task:
    seed, tables = task.params.spec["seed"], []
    for layer in range(task.params.spec["layers"]):
        vectors, _ = read_vectors(task.input[0], layer)
        tables.append(jackknife_layer(vectors["target"], seed).assign(layer=layer))
    write_table(task.output[0], pd.concat(tables, ignore_index=True))
