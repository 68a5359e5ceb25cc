from layerscope.io.tables import read_table
from layerscope.studies.token_length.resample_layer import resample_layer
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    settings = {key: task.params.spec[key] for key in ("resamples", "seed", "frequency_covariate")}
    given = task.input.summaries, task.input.shards, read_table(task.input.vocabulary)
    write_layers(task, lambda layer: resample_layer(*given, layer, **settings))
