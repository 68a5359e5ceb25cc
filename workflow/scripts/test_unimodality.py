from layerscope.io.tables import read_table
from layerscope.studies.token_length.unimodality_test import unimodality_tests
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    settings = {key: task.params.spec[key] for key in ("resamples", "seed")}
    given = task.input.shards, read_table(task.input.vocabulary)
    write_layers(task, lambda layer: unimodality_tests(*given, layer, **settings))
