from layerscope.io.tables import write_table
from layerscope.studies.token_similarity.cosines import cosine_tables
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.workflow.job import job

with job(snakemake) as task:
    tables = cosine_tables(*read_vectors(task.input[0], int(task.wildcards.layer)))
    for table, path in zip(tables, task.output, strict=True):
        write_table(path, table)
