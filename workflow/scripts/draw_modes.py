from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_length.draw_modality import draw_modes

with job(snakemake) as task:
    modality, histograms = (
        [read_table(path) for path in paths] for paths in (task.input.modality, task.input.histograms)
    )
    draw_modes(task.output, task.wildcards.model, modality, histograms)
