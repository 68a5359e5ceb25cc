import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.token_length.confounds import sample_confounds
from layerscope.tokenize.token_shards import Tokens, read_token_shard

with job(snakemake) as task:
    tokens = Tokens.join(read_token_shard(path)[0] for path in task.input.tokens)
    table = sample_confounds(pd.read_parquet(task.input.vocabulary), pd.read_parquet(task.input.frequency), tokens)
    with whole_file(task.output[0]) as temporary:
        table.to_csv(temporary, index=False)
