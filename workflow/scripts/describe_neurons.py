from layerscope.io.tables import read_table
from layerscope.studies.token_length.describe_layer import describe_layer
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    given = task.input.summaries, task.input.shards, read_table(task.input.vocabulary)
    write_layers(task, lambda layer: describe_layer(*given, layer))
