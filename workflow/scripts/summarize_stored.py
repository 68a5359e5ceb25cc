from layerscope.io.tables import read_table
from layerscope.summarize.summarize_shard import summarize_stored
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, sampling = task.params.spec, task.config["sampling"]
    summarize_stored(
        task.input.activations,
        task.input.tokens,
        read_table(task.input.types),
        spec["layers"],
        spec["summary"],
        task.threads,
        task.output[0],
        sampling["sequences"] // sampling["sequences_per_shard"],
    )
