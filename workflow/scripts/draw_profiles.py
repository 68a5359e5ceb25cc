from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_length.draw_pairs import draw_profiles

with job(snakemake) as task:
    draw_profiles(task.output, read_csv(task.input[0]))
