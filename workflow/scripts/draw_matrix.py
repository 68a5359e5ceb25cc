from layerscope.job import job
from layerscope.token_similarity.draw import draw_matrix
from layerscope.token_similarity.vectors import read_vectors

with job(snakemake) as task:
    layer = task.params.spec["layer"]
    vectors, _ = read_vectors(task.input[0], layer)
    draw_matrix(task.output, task.wildcards.model, layer, vectors)
