import os

# The threads of the job call BLAS, whose own would wait actively for one another: half of the seconds of a small job.
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

from layerscope.io.tables import read_table, write_table
from layerscope.studies.token_length.match_layer import match_layer
from layerscope.workflow.job import job, outputs_by_layer

with job(snakemake) as task:
    vocabulary = read_table(task.input.vocabulary)
    for layer, [path] in outputs_by_layer(task).items():
        table = match_layer(
            task.input.shards,
            task.input.neurons,
            task.input.other_shards,
            task.input.other_neurons[layer],
            vocabulary,
            layer,
            task.params.spec["seed"],
            task.threads,
        )
        write_table(path, table)
