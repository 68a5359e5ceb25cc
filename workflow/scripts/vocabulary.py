from layerscope.io.files import read_json
from layerscope.io.tables import write_table
from layerscope.tokenize.token_shards import read_token_shards
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.tokenize.vocabulary import vocabulary_table
from layerscope.workflow.job import job

with job(snakemake) as task:
    tokenizer = load_tokenizer(read_json(task.input.tokenizer))
    sample, attributes = read_token_shards(task.input.tokens)
    write_table(task.output[0], vocabulary_table(tokenizer, sample.input_ids), attributes)
