import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.assess import assess_layer

with job(snakemake) as task:
    tables = assess_layer(
        task.input.shards,
        pd.read_parquet(task.input.vocabulary),
        pd.read_parquet(task.input.frequency),
        int(task.wildcards.layer),
        **{key: task.params.spec[key] for key in ("draws", "seed")},
    )
    for table, path in zip(tables, task.output, strict=True):
        with whole_file(path) as temporary:
            table.to_parquet(temporary, compression="zstd")
