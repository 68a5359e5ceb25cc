from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.resample_properties import resample_properties
from layerscope.workflow.job import job

with job(snakemake) as task:
    tables = resample_properties(
        task.input.summaries,
        task.input.shards,
        read_table(task.input.vocabulary),
        int(task.wildcards.layer),
        **{key: task.params.spec[key] for key in ("properties", "resamples", "seed", "frequency_covariate")},
    )
    for table, path in zip(tables, task.output, strict=True):
        write_table(path, table)
