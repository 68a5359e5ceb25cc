from layerscope.files import whole_file
from layerscope.job import job
from layerscope.path_length.uncertainty import resample_paths

with job(snakemake) as task:
    table = resample_paths(list(task.input), **{key: task.params.spec[key] for key in ("draws", "seed")})
    with whole_file(task.output[0]) as temporary:
        table.to_parquet(temporary, compression="zstd")
