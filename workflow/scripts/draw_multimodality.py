from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_length.draw_modality import draw_multimodality

with job(snakemake) as task:
    draw_multimodality(task.output, read_csv(task.input[0]))
