# Documents to their token ids, those to token shards of fixed-length sequences, and a table of the vocabulary.

from layerscope.tokenize.encoded_documents import parts_with


def documents_with(start, stop):
    """The parts of the encoded documents that hold these tokens of a corpus."""
    parts = [f"{part:04d}" for part in parts_with(start, stop)]
    return expand("<results>/documents/{{tokenizer}}/{{corpus}}/part_{part}.h5", part=parts)


def documents_of_shard(wildcards):
    size, shard = CONFIG.sampling.sequences_per_shard * CONFIG.sampling.sequence_length, int(wildcards.shard)
    return documents_with(shard * size, (shard + 1) * size)


# Data sets on the hub are encoded as they are fetched (fetch.smk).
rule encode_documents:
    input:
        corpus=lambda w: SPECS.record("corpora", w.corpus),
        tokenizer=lambda w: SPECS.record("tokenizers", w.tokenizer),
        previous=part_before,
    output:
        "<results>/documents/{tokenizer}/{corpus}/part_{part}.h5",
    log:
        "<logs>/encode_documents/{tokenizer}/{corpus}/part_{part}.log",
    benchmark:
        "<logs>/encode_documents/{tokenizer}/{corpus}/part_{part}.benchmark.tsv"
    wildcard_constraints:
        corpus=corpora_that_are(local=True),
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.encode(int(w.part))),
    params:
        spec=SPECS.script("encode_documents"),
    message:
        "Encode documents of {wildcards.corpus} with {wildcards.tokenizer}: part {wildcards.part}"
    script:
        "../scripts/encode_documents.py"


rule tokenize:
    input:
        documents=documents_of_shard,
    output:
        "<results>/tokens/{tokenizer}/{corpus}/shard_{shard}.h5",
    log:
        "<logs>/tokenize/{tokenizer}/{corpus}/shard_{shard}.log",
    benchmark:
        "<logs>/tokenize/{tokenizer}/{corpus}/shard_{shard}.benchmark.tsv"
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.tokenize(int(w.shard))),
    params:
        spec=SPECS.tokenize(),
    message:
        "Tokenize {wildcards.corpus} with {wildcards.tokenizer}: shard {wildcards.shard}"
    script:
        "../scripts/tokenize.py"


rule count_tokens:
    input:
        tokenizer=lambda w: SPECS.record("tokenizers", w.tokenizer),
        documents=lambda w: documents_with(0, SPECS.counted_tokens),
    output:
        "<results>/tokens/{tokenizer}/{corpus}/frequency.parquet",
    log:
        "<logs>/count_tokens/{tokenizer}/{corpus}.log",
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.count(SPECS.counted_tokens)),
    params:
        spec=SPECS.count_tokens(),
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
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.vocabulary()),
    params:
        spec=SPECS.script("vocabulary"),
    message:
        "Tabulate the vocabulary of {wildcards.tokenizer} in {wildcards.corpus}"
    script:
        "../scripts/vocabulary.py"
