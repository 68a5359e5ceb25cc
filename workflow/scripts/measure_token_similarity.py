from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_similarity.measure import measure_layer
from layerscope.token_similarity.vectors import read_vectors

with job(snakemake) as task:
    tables = measure_layer(*read_vectors(task.input[0], int(task.wildcards.layer)))
    for table, path in zip(tables, task.output, strict=True):
        with whole_file(path) as temporary:
            table.to_parquet(temporary, compression="zstd")
