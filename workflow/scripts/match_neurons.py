import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.matching import match_layer

with job(snakemake) as task:
    table = match_layer(
        task.input.shards,
        task.input.neurons,
        task.input.other_shards,
        task.input.other_neurons,
        pd.read_parquet(task.input.vocabulary),
        int(task.wildcards.layer),
        task.params.spec["seed"],
    )
    with whole_file(task.output[0]) as temporary:
        table.to_parquet(temporary, compression="zstd")
