# Find models, tokenizers and corpora. Only these rules use the network; they run where Snakemake runs.


localrules:
    fetch_model,
    fetch_tokenizer,
    resolve_corpus,
    fetch_documents,


# After its tokenizer, so that a mismatch is found before the model is downloaded.
rule fetch_model:
    input:
        tokenizer=lambda w: SPECS.record("tokenizers", tokenizer_of(w.model)),
    output:
        "<results>/sources/models/{model}/{content}.json",
    log:
        "<logs>/fetch_model/{model}/{content}.log",
    params:
        spec=lambda w: SPECS.fetch_model(w.model),
    message:
        "Find the model {wildcards.model}"
    script:
        "../scripts/fetch_model.py"


rule fetch_tokenizer:
    output:
        "<results>/sources/tokenizers/{tokenizer}/{content}.json",
    log:
        "<logs>/fetch_tokenizer/{tokenizer}/{content}.log",
    params:
        spec=lambda w: SPECS.fetch_tokenizer(w.tokenizer),
    message:
        "Find the tokenizer {wildcards.tokenizer}"
    script:
        "../scripts/fetch_tokenizer.py"


rule resolve_corpus:
    output:
        "<results>/sources/corpora/{corpus}/{content}.json",
    log:
        "<logs>/resolve_corpus/{corpus}/{content}.log",
    params:
        spec=lambda w: SPECS.resolve_corpus(w.corpus),
    message:
        "Find the corpus {wildcards.corpus}"
    script:
        "../scripts/resolve_corpus.py"


# Their texts are not kept: what is fetched is encoded at once (tokenize.smk).
rule fetch_documents:
    input:
        corpus=lambda w: SPECS.record("corpora", w.corpus),
        tokenizer=lambda w: SPECS.record("tokenizers", w.tokenizer),
        previous=part_before,
    output:
        "<results>/documents/{tokenizer}/{corpus}/part_{part}.h5",
    log:
        "<logs>/fetch_documents/{tokenizer}/{corpus}/part_{part}.log",
    wildcard_constraints:
        corpus=corpora_that_are(local=False),
    params:
        spec=SPECS.script("fetch_documents"),
    message:
        "Fetch and encode documents of {wildcards.corpus} for {wildcards.tokenizer}: part {wildcards.part}"
    script:
        "../scripts/fetch_documents.py"
