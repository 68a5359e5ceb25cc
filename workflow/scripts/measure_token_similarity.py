from layerscope.job import job
from layerscope.tables import write_table
from layerscope.token_similarity.measure import measure_layer
from layerscope.token_similarity.vectors import read_vectors

with job(snakemake) as task:
    tables = measure_layer(*read_vectors(task.input[0], int(task.wildcards.layer)))
    for table, path in zip(tables, task.output, strict=True):
        write_table(path, table)
