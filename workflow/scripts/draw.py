from layerscope.workflow.due_figures import draw_due_figures
from layerscope.workflow.job import job

with job(snakemake) as task:
    draw_due_figures(task.params.spec, task.input, task.output)
