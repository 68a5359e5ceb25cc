from layerscope.job import job
from layerscope.tables import read_table, write_table
from layerscope.token_length.modality import modality_of_layer

with job(snakemake) as task:
    tables = modality_of_layer(
        task.input.shards,
        read_table(task.input.vocabulary),
        int(task.wildcards.layer),
        **{key: task.params.spec[key] for key in ("draws", "seed")},
    )
    for table, path in zip(tables, task.output, strict=True):
        write_table(path, table)
