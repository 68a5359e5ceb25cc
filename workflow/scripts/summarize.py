from layerscope.io.files import read_json
from layerscope.io.tables import read_table
from layerscope.summarize.summarize_shard import summarize_run
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, sampling = task.params.spec, task.config["sampling"]
    summarize_run(
        task.input.tokens,
        read_table(task.input.types),
        read_json(task.input.model),
        spec["compute"],
        spec["summary"],
        task.config["extraction"]["device"],
        task.threads,
        task.output[0],
        sampling["sequences"] // sampling["sequences_per_shard"],
    )
