from layerscope.io.tables import read_table
from layerscope.studies.token_length.correlate_layer import correlate_layer
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    given = task.input.summaries, task.input.shards, task.input.manifests, vocabulary
    write_layers(task, lambda layer: correlate_layer(*given, layer, task.params.spec["histogram_bins"]))
