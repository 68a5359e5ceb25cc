"""Reading what a run wrote, for notebooks and scripts: ``run = layerscope.open("results")``.

Start with :class:`layerscope.read.run.Run`. The explorer and the report are written with the layers below it: they read
and check each table with :mod:`layerscope.read.tables`, as ``Run`` does, and neurons are joined and matched for both in
:mod:`layerscope.read.neurons_table` and :mod:`layerscope.read.matches`. ``Run`` alone looks at a whole folder: a job
reads the files that its rule names. Nothing here imports torch.
"""

# What the names of the tables begin with that every run has of the neurons of a layer.
NEURON_TABLES = ("layer", "inference", "resamples", "dip")
