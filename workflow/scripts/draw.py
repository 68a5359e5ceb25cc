from pkgutil import resolve_name

from layerscope.workflow.inputs import read_inputs
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec = task.params.spec
    draw = resolve_name(spec["function"])
    draw(task.output, **task.wildcards, **read_inputs(task.input, spec["keyed"]), **spec["settings"])
