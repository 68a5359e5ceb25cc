from layerscope.job import job
from layerscope.tables import read_table, write_table
from layerscope.token_length.matching import match_layer

with job(snakemake) as task:
    table = match_layer(
        task.input.shards,
        task.input.neurons,
        task.input.other_shards,
        task.input.other_neurons,
        read_table(task.input.vocabulary),
        int(task.wildcards.layer),
        task.params.spec["seed"],
    )
    write_table(task.output[0], table)
