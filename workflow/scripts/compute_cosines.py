from layerscope.studies.token_similarity.cosines import cosine_tables
from layerscope.studies.token_similarity.vectors import read_vectors
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    write_layers(task, lambda layer: cosine_tables(*read_vectors(task.input[0], layer)))
