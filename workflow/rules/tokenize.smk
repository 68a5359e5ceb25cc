# Documents to token shards of fixed-length sequences, and a table of the vocabulary.


def documents_of(wildcards):
    """Documents fetched from the hub; a local corpus is read in place, and its digest is in its record.

    A larger sample extends the fetched file and keeps what it began with, so its newer date alone changes no shard.
    """
    if is_local(CONFIG.corpora[wildcards.corpus].source):
        return []
    return ancient("results/documents/{corpus}.jsonl")


rule tokenize:
    input:
        corpus="results/sources/corpora/{corpus}.json",
        tokenizer="results/sources/tokenizers/{tokenizer}.json",
        documents=documents_of,
    output:
        "results/tokens/{tokenizer}/{corpus}/shard_{shard}.h5",
    log:
        "logs/tokenize/{tokenizer}/{corpus}/shard_{shard}.log",
    benchmark:
        "logs/tokenize/{tokenizer}/{corpus}/shard_{shard}.benchmark.tsv"
    params:
        spec=lambda w: SPECS.tokenize(w.corpus),
    message:
        "Tokenize {wildcards.corpus} with {wildcards.tokenizer}: shard {wildcards.shard}"
    script:
        "../scripts/tokenize.py"


rule count_tokens:
    input:
        corpus="results/sources/corpora/{corpus}.json",
        tokenizer="results/sources/tokenizers/{tokenizer}.json",
        documents=documents_of,
    output:
        "results/tokens/{tokenizer}/{corpus}/frequency.parquet",
    log:
        "logs/count_tokens/{tokenizer}/{corpus}.log",
    params:
        spec=lambda w: SPECS.count_tokens(w.corpus),
    message:
        "Count the tokens of {wildcards.tokenizer} in {wildcards.corpus}"
    script:
        "../scripts/count_tokens.py"


rule vocabulary:
    input:
        tokenizer="results/sources/tokenizers/{tokenizer}.json",
        tokens=expand("results/tokens/{{tokenizer}}/{{corpus}}/shard_{shard}.h5", shard=SHARDS),
    output:
        "results/tokens/{tokenizer}/{corpus}/vocabulary.parquet",
    log:
        "logs/vocabulary/{tokenizer}/{corpus}.log",
    params:
        spec=SPECS.script("vocabulary"),
    message:
        "Measure the tokens of {wildcards.tokenizer} in {wildcards.corpus}"
    script:
        "../scripts/vocabulary.py"
