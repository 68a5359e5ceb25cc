import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.sample import lengths_by_sequence
from layerscope.tokenize.token_shards import Tokens, read_token_shard

with job(snakemake) as task:
    tokens = Tokens.join(read_token_shard(path)[0] for path in task.input.tokens)
    table = lengths_by_sequence(pd.read_parquet(task.input.vocabulary), tokens)
    with whole_file(task.output[0]) as temporary:
        table.to_parquet(temporary, compression="zstd")
