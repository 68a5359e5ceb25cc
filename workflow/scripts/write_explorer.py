from layerscope.explorer.index import write_index
from layerscope.explorer.manifest import manifest
from layerscope.read.tables import table_of
from layerscope.workflow.job import inputs_of_models, job

with job(snakemake) as task:
    spec = task.params.spec
    neurons = {model: [len(table_of(path)) for path in paths] for model, paths in inputs_of_models(task).items()}
    tokenizers = dict.fromkeys(model["tokenizer"] for model in spec["models"].values())
    types = {name: len(table_of(task.input[f"types_{name}"][0])) for name in tokenizers}
    write_index(task.output[0], manifest(spec, neurons, types))
