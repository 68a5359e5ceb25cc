from layerscope.io.files import read_json
from layerscope.io.tables import read_table
from layerscope.summarize.summarize_shard import summarize_run, summarize_stored
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, types = task.params.spec, read_table(task.input.types)
    if spec["stored"]:
        summarize_stored(
            task.input.activations, task.input.tokens, types, spec["layers"], spec["summary"], task.output[0]
        )
    else:
        summarize_run(
            task.input.tokens,
            types,
            read_json(task.input.model),
            spec["compute"],
            spec["summary"],
            task.config["extraction"]["device"],
            task.threads,
            task.output[0],
        )
