# Documents to token shards of fixed-length sequences, and a table of the vocabulary.


def documents_of(corpus, part):
    """Documents fetched from the hub; a local corpus is read in place, and its record has its digest."""
    if is_local(CONFIG.corpora[corpus].source):
        return []
    return f"<results>/documents/{{tokenizer}}/{{corpus}}/{part}.jsonl"


def shards_with(shard):
    """The part of the documents that covers a shard: up to the next power of two of shards.

    So the part of a shard does not depend on the size of the sample. A larger sample fetches a further part and keeps
    the earlier ones, and all parts together are at most four times the sample.
    """
    return f"shards_{1 << int(shard).bit_length()}"


rule tokenize:
    input:
        corpus=lambda w: SPECS.record("corpora", w.corpus),
        tokenizer=lambda w: SPECS.record("tokenizers", w.tokenizer),
        documents=lambda w: documents_of(w.corpus, shards_with(w.shard)),
    output:
        "<results>/tokens/{tokenizer}/{corpus}/shard_{shard}.h5",
    log:
        "<logs>/tokenize/{tokenizer}/{corpus}/shard_{shard}.log",
    benchmark:
        "<logs>/tokenize/{tokenizer}/{corpus}/shard_{shard}.benchmark.tsv"
    params:
        spec=lambda w: SPECS.tokenize(w.corpus),
    message:
        "Tokenize {wildcards.corpus} with {wildcards.tokenizer}: shard {wildcards.shard}"
    script:
        "../scripts/tokenize.py"


rule count_tokens:
    input:
        corpus=lambda w: SPECS.record("corpora", w.corpus),
        tokenizer=lambda w: SPECS.record("tokenizers", w.tokenizer),
        documents=lambda w: documents_of(w.corpus, "frequency"),
    output:
        "<results>/tokens/{tokenizer}/{corpus}/frequency.parquet",
    log:
        "<logs>/count_tokens/{tokenizer}/{corpus}.log",
    params:
        spec=lambda w: SPECS.count_tokens(w.corpus),
    message:
        "Count the tokens of {wildcards.tokenizer} in {wildcards.corpus}"
    script:
        "../scripts/count_tokens.py"


rule vocabulary:
    input:
        frequency="<results>/tokens/{tokenizer}/{corpus}/frequency.parquet",
        tokens=expand("<results>/tokens/{{tokenizer}}/{{corpus}}/shard_{shard}.h5", shard=SHARDS),
    output:
        "<results>/tokens/{tokenizer}/{corpus}/vocabulary.parquet",
    log:
        "<logs>/vocabulary/{tokenizer}/{corpus}.log",
    params:
        spec=SPECS.script("vocabulary"),
    message:
        "Tabulate the vocabulary of {wildcards.tokenizer} in {wildcards.corpus}"
    script:
        "../scripts/vocabulary.py"
