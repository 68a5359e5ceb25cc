# Study token_similarity: how similar the dimensions of Q, K and V of a target token are over many sentences.

from layerscope.studies.token_similarity.sentences import sentence_lines

SIMILARITY = STUDIES["token_similarity"]
SENTENCES = len(sentence_lines(SIMILARITY.settings.sentences, SIMILARITY.settings.target))


rule extract_vectors:
    input:
        model=lambda w: SPECS.record("models", w.model),
        tokenizer=lambda w: SPECS.record("tokenizers", tokenizer_of(w.model)),
        # The digest of the sentences is in the spec.
        sentences=ancient(SIMILARITY.settings.sentences),
    output:
        "<results>/token_similarity/{model}/vectors.h5",
    log:
        "<logs>/extract_vectors/{model}.log",
    benchmark:
        "<logs>/extract_vectors/{model}.benchmark.tsv"
    threads: lambda w: NEEDS.threads(CONFIG.models[w.model].source)
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.extract_vectors(model_size(input.model), SENTENCES, threads)),
        gpu=1,
    params:
        spec=SPECS.of("extract_vectors"),
    message:
        "Token similarity: extract Q, K and V of {wildcards.model}"
    script:
        "../scripts/extract_vectors.py"


for jobs in layer_jobs(SIMILARITY, lambda size: SENTENCES * size.hidden**2):

    rule:
        name:
            jobs.rule("compute_cosines")
        input:
            "<results>/token_similarity/{model}/vectors.h5",
        output:
            blocks=jobs.files("<results>/token_similarity/{model}/layer_{layer}.parquet"),
            dimensions=jobs.files("<results>/token_similarity/{model}/dimensions_{layer}.parquet"),
            histogram=jobs.files("<results>/token_similarity/{model}/histogram_{layer}.parquet"),
        log:
            jobs.file("<logs>/compute_cosines/{model}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/compute_cosines/{model}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            model=jobs.constraint,
        resources:
            **NEEDS.ask(
                lambda w, input, threads: NEEDS.cosines(
                    file_size(input[0]) / 4, SIMILARITY.models[w.model].layers, SENTENCES
                ),
                jobs.layers_each,
            ),
        params:
            spec=SPECS.of("compute_cosines"),
        message:
            f"Token similarity: compute cosines of {{wildcards.model}}: {jobs.label}"
        script:
            "../scripts/compute_cosines.py"


rule summarize_token_similarity:
    input:
        **of_models(SIMILARITY, of="token_similarity/{model}/layer_{layer}.parquet"),
        dimensions=SIMILARITY.paths("token_similarity/{model}/dimensions_{layer}.parquet"),
    output:
        "<results>/token_similarity/layers.csv",
    log:
        "<logs>/summarize_token_similarity.log",
    localrule: True
    params:
        spec=SPECS.of("summarize_token_similarity"),
    message:
        "Token similarity: summarize layers and models"
    script:
        "../scripts/summarize_token_similarity.py"


rule jackknife_similarity:
    input:
        "<results>/token_similarity/{model}/vectors.h5",
    output:
        "<results>/token_similarity/{model}/jackknife.parquet",
    log:
        "<logs>/jackknife_similarity/{model}.log",
    params:
        spec=lambda w: SPECS.of("jackknife_similarity", layers=SIMILARITY.models[w.model].layers),
    message:
        "Token similarity: jackknife over sentences of {wildcards.model}"
    script:
        "../scripts/jackknife_similarity.py"


rule evaluate_token_similarity_claims:
    input:
        **{f"of_{model}": f"<results>/token_similarity/{model}/jackknife.parquet" for model in SIMILARITY.models},
    output:
        "<results>/token_similarity/claims.csv",
    log:
        "<logs>/evaluate_token_similarity_claims.log",
    localrule: True
    params:
        spec=SPECS.of("evaluate_token_similarity_claims"),
    message:
        "Token similarity: evaluate the claims"
    script:
        "../scripts/evaluate_token_similarity_claims.py"
