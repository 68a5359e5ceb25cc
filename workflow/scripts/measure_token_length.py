from layerscope.job import job
from layerscope.tables import read_table, write_table
from layerscope.token_length.measure import measure_layer

with job(snakemake) as task:
    tables = measure_layer(
        task.input.shards,
        task.input.manifests,
        read_table(task.input.vocabulary),
        int(task.wildcards.layer),
        task.params.spec["histogram_bins"],
    )
    for table, path in zip(tables, task.output, strict=True):
        write_table(path, table)
