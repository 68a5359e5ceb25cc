import os

# The threads of the job call BLAS, whose own would wait actively for one another: half of the seconds of a small job.
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

from layerscope.io.tables import read_table
from layerscope.studies.token_length.match_layer import match_layer
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    vocabulary, seed = read_table(task.input.vocabulary), task.params.spec["seed"]
    shards, neurons, other_shards = task.input.shards, task.input.neurons, task.input.other_shards

    def matches(layer):
        others = task.input.other_neurons[layer]
        return match_layer(shards, neurons, other_shards, others, vocabulary, layer, seed, task.threads)

    write_layers(task, matches)
