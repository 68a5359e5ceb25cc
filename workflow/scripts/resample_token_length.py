from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.resample_layer import resample_layer
from layerscope.workflow.job import job, outputs_by_layer

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    for layer, paths in outputs_by_layer(task).items():
        tables = resample_layer(
            task.input.summaries,
            task.input.shards,
            vocabulary,
            layer,
            **{key: task.params.spec[key] for key in ("resamples", "seed", "frequency_covariate")},
        )
        for table, path in zip(tables, paths, strict=True):
            write_table(path, table)
