import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.measure import measure_layer

with job(snakemake) as task:
    tables = measure_layer(
        task.input.shards,
        task.input.manifests,
        pd.read_parquet(task.input.vocabulary),
        int(task.wildcards.layer),
        task.params.spec["histogram_bins"],
    )
    for table, path in zip(tables, task.output, strict=True):
        with whole_file(path) as temporary:
            table.to_parquet(temporary, compression="zstd")
