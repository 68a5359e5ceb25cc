from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_length.draw_r import draw_r_confounds

with job(snakemake) as task:
    evidence = read_csv(task.input[0])
    model = task.wildcards.model
    draw_r_confounds(task.output, model, evidence[evidence["model"] == model])
