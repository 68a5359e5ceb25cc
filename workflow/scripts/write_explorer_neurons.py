from pathlib import Path

from layerscope.explorer.inputs import TABLES
from layerscope.explorer.layer_file import write_layer_file
from layerscope.io.tables import read_table
from layerscope.read.matches import best_matches
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, model = task.params.spec, task.wildcards.model
    matches = best_matches(task.input.matches, model, spec["matched"]) if spec["matched"] else None
    for path in task.output:
        layer = int(Path(path).stem.removeprefix("layer_"))
        tables = {kind: read_table(task.input[kind][layer]) for kind in TABLES}
        write_layer_file(path, model, layer, spec["layers"], tables, matches, spec["sequence_length"])
