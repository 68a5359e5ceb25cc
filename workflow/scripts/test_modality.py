import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.modality import modality_of_layer

with job(snakemake) as task:
    tables = modality_of_layer(
        task.input.shards,
        pd.read_parquet(task.input.vocabulary),
        int(task.wildcards.layer),
        **{key: task.params.spec[key] for key in ("draws", "seed")},
    )
    for table, path in zip(tables, task.output, strict=True):
        with whole_file(path) as temporary:
            table.to_parquet(temporary, compression="zstd")
