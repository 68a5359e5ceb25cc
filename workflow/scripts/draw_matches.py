from layerscope.job import job
from layerscope.tables import read_csv
from layerscope.token_length.draw_pairs import draw_matches

with job(snakemake) as task:
    draw_matches(task.output, read_csv(task.input[0]))
