from pathlib import Path

from layerscope.explorer.inputs import TABLES
from layerscope.explorer.layer_file import write_layer_files
from layerscope.read.matches import best_matches
from layerscope.read.tables import table_of
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, model = task.params.spec, task.wildcards.model
    matches = best_matches(task.input.matches, model, spec["matched"]) if spec["matched"] else None
    for folder in task.output:
        layer = int(Path(folder).name.removeprefix("layer_"))
        tables = {kind: table_of(task.input[kind][layer]) for kind in TABLES}
        write_layer_files(folder, model, layer, spec["layers"], tables, matches, spec["sequence_length"])
