"""Reading what a run wrote, for notebooks and scripts: ``run = layerscope.open("results")``.

Start with :class:`layerscope.read.run.Run`. Nothing here is part of a job, and nothing imports torch.
"""

# What the names of the tables begin with that every run has of the neurons of a layer.
NEURON_TABLES = ("layer", "inference", "resamples", "dip")
