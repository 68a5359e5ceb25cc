import os

# The threads of the job call BLAS, whose own would wait actively for one another: half of the seconds of a small job.
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.match_layer import match_layer
from layerscope.workflow.job import job, outputs_by_layer

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    layers = outputs_by_layer(task).items()
    for (layer, [path]), other_neurons in zip(layers, task.input.other_neurons, strict=True):
        table = match_layer(
            task.input.shards,
            task.input.neurons,
            task.input.other_shards,
            other_neurons,
            vocabulary,
            layer,
            task.params.spec["seed"],
            task.threads,
        )
        write_table(path, table)
