from layerscope.io.tables import write_table
from layerscope.studies.token_similarity.cosines import cosine_tables
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.workflow.job import job, outputs_by_layer

with job(snakemake) as task:
    for layer, paths in outputs_by_layer(task).items():
        tables = cosine_tables(*read_vectors(task.input[0], layer))
        for table, path in zip(tables, paths, strict=True):
            write_table(path, table)
