import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_similarity.jackknife import jackknife_layer
from layerscope.token_similarity.vectors import read_vectors

with job(snakemake) as task:
    seed, tables = task.params.spec["seed"], []
    for layer in range(task.params.spec["layers"]):
        vectors, _ = read_vectors(task.input[0], layer)
        tables.append(jackknife_layer(vectors["target"], seed).assign(layer=layer))
    with whole_file(task.output[0]) as temporary:
        pd.concat(tables, ignore_index=True).to_parquet(temporary, compression="zstd")
