from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.correlate_layer import correlate_layer
from layerscope.workflow.job import job, outputs_by_layer

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    for layer, paths in outputs_by_layer(task).items():
        tables = correlate_layer(
            task.input.summaries,
            task.input.shards,
            task.input.manifests,
            vocabulary,
            layer,
            task.params.spec["histogram_bins"],
        )
        for table, path in zip(tables, paths, strict=True):
            write_table(path, table)
