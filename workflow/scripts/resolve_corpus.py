from layerscope.fetch.corpora import resolve_corpus
from layerscope.io.files import write_json
from layerscope.workflow.job import job

with job(snakemake, network=True) as task:
    write_json(task.output[0], resolve_corpus(task.wildcards.corpus, task.params.spec))
