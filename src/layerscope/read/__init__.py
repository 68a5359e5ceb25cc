"""Reading what a run wrote, for notebooks and scripts: ``run = layerscope.open("results")``.

Start with :class:`layerscope.read.run.Run`. Nothing here is part of a job, and nothing imports torch.
"""
