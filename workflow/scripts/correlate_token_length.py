from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.correlate_layer import correlate_layer
from layerscope.workflow.job import job

with job(snakemake) as task:
    tables = correlate_layer(
        task.input.summaries,
        task.input.shards,
        task.input.manifests,
        read_table(task.input.vocabulary),
        int(task.wildcards.layer),
        task.params.spec["histogram_bins"],
    )
    for table, path in zip(tables, task.output, strict=True):
        write_table(path, table)
