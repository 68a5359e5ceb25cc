from layerscope.extract.store_activations import extract_shard
from layerscope.io.files import read_json
from layerscope.workflow.job import job

with job(snakemake) as task:
    sampling, sequences = task.config["sampling"], task.params.spec["sequences_per_shard"]
    extract_shard(
        task.input.tokens,
        read_json(task.input.model),
        task.params.spec,
        # Not in the spec: a run on another device need not be repeated.
        task.config["extraction"]["device"],
        task.threads,
        task.output.shard,
        sampling["stored_sequences"] // sequences,
        (int(task.wildcards.shard), sequences),
    )
