from layerscope.io.files import read_json
from layerscope.model.loading import set_up_torch
from layerscope.model.neuron_weights import NeuronWeights
from layerscope.studies.token_length.describe_weights import describe_weights
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.workflow.job import job
from layerscope.workflow.layer_outputs import write_layers

with job(snakemake) as task:
    set_up_torch(task.threads)
    model = NeuronWeights(read_json(task.input.model), task.params.spec["dtype"])
    unembedding = model.unembedding(load_tokenizer(read_json(task.input.tokenizer)).size)
    write_layers(task, lambda layer: describe_weights(model, layer, unembedding))
