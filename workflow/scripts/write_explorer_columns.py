from layerscope.explorer.columns import write_columns
from layerscope.explorer.inputs import STATISTICS
from layerscope.read.matches import best_matches
from layerscope.read.neurons_table import neurons_table
from layerscope.read.tables import table_of
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, model = task.params.spec, task.wildcards.model
    matches = best_matches(task.input.matches, model, spec["matched"]) if spec["matched"] else None
    layers = []
    for layer in range(spec["layers"]):
        tables = {kind: table_of(task.input[kind][layer]) for kind in STATISTICS}
        layers.append(neurons_table(model, layer, spec["layers"], tables, matches))
    write_columns(task.output, model, layers)
