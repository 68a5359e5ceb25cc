# Study token_similarity: Q, K and V of a target token in many sentences, and how similar their dimensions are.

TOKEN_SIMILARITY = CONFIG.studies.token_similarity
FIGURES["token_similarity"] = expand(
    "{figure}_{model}",
    figure=["cosines", "cosines_centred", "cosine_spread", "qkv_moments", "matrix"],
    model=TOKEN_SIMILARITY.models,
)
CLAIMS.append("results/token_similarity/claims.csv")
RUNS += expand("results/token_similarity/{model}/vectors.h5", model=TOKEN_SIMILARITY.models)


def similarity_tables(model, table):
    """A table of every layer: layer (blocks), dimensions or histogram."""
    return expand(
        "results/token_similarity/{model}/{table}_{layer}.parquet",
        model=model,
        table=table,
        layer=layers_of(model),
    )


rule extract_vectors:
    input:
        model=lambda w: SPECS.record("models", w.model),
        tokenizer=lambda w: SPECS.record("tokenizers", tokenizer_of(w.model)),
        # The digest of the sentences is in the spec.
        sentences=ancient(TOKEN_SIMILARITY.sentences),
    output:
        "results/token_similarity/{model}/vectors.h5",
    log:
        "logs/extract_vectors/{model}.log",
    benchmark:
        "logs/extract_vectors/{model}.benchmark.tsv"
    threads: 8
    resources:
        gpu=1,
    params:
        spec=SPECS.extract_vectors(),
    message:
        "Token similarity: extract Q, K and V of {wildcards.model}"
    script:
        "../scripts/extract_vectors.py"


rule measure_token_similarity:
    input:
        "results/token_similarity/{model}/vectors.h5",
    output:
        blocks="results/token_similarity/{model}/layer_{layer}.parquet",
        dimensions="results/token_similarity/{model}/dimensions_{layer}.parquet",
        histogram="results/token_similarity/{model}/histogram_{layer}.parquet",
    log:
        "logs/measure_token_similarity/{model}/layer_{layer}.log",
    benchmark:
        "logs/measure_token_similarity/{model}/layer_{layer}.benchmark.tsv"
    params:
        spec=SPECS.script("measure_token_similarity"),
    message:
        "Token similarity: measure layer {wildcards.layer} of {wildcards.model}"
    script:
        "../scripts/measure_token_similarity.py"


rule compare_token_similarity:
    input:
        **{f"of_{model}": similarity_tables(model, "layer") for model in TOKEN_SIMILARITY.models},
        dimensions=[path for model in TOKEN_SIMILARITY.models for path in similarity_tables(model, "dimensions")],
    output:
        "results/token_similarity/layers.csv",
    log:
        "logs/compare_token_similarity.log",
    localrule: True
    params:
        spec=SPECS.compare("token_similarity"),
    message:
        "Token similarity: compare layers and models"
    script:
        "../scripts/compare_token_similarity.py"


rule jackknife_similarity:
    input:
        "results/token_similarity/{model}/vectors.h5",
    output:
        "results/token_similarity/{model}/jackknife.parquet",
    log:
        "logs/jackknife_similarity/{model}.log",
    params:
        spec=lambda w: SPECS.jackknife_similarity(w.model),
    message:
        "Token similarity: leave each sentence out in turn, {wildcards.model}"
    script:
        "../scripts/jackknife_similarity.py"


rule judge_token_similarity:
    input:
        **{f"of_{model}": f"results/token_similarity/{model}/jackknife.parquet" for model in TOKEN_SIMILARITY.models},
    output:
        "results/token_similarity/claims.csv",
    log:
        "logs/judge_token_similarity.log",
    localrule: True
    params:
        spec=SPECS.judge("token_similarity"),
    message:
        "Token similarity: judge the claims"
    script:
        "../scripts/judge_token_similarity.py"


rule draw_cosines:
    input:
        lambda w: similarity_tables(w.model, "histogram"),
    output:
        drawing(
            "token_similarity",
            "cosines_{model}",
            "Token similarity",
            "{model}",
            "cosines by layer",
        ),
    log:
        "logs/draw_cosines/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_cosines"),
    message:
        "Token similarity: draw cosines by layer of {wildcards.model}"
    script:
        "../scripts/draw_cosines.py"


rule draw_cosines_centred:
    input:
        lambda w: similarity_tables(w.model, "histogram"),
    output:
        drawing(
            "token_similarity",
            "cosines_centred_{model}",
            "Token similarity",
            "{model}",
            "cosines by layer, centred",
        ),
    log:
        "logs/draw_cosines_centred/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_cosines_centred"),
    message:
        "Token similarity: draw cosines by layer, centred of {wildcards.model}"
    script:
        "../scripts/draw_cosines_centred.py"


rule draw_cosine_spread:
    input:
        "results/token_similarity/layers.csv",
    output:
        drawing(
            "token_similarity",
            "cosine_spread_{model}",
            "Token similarity",
            "{model}",
            "spread of the cosines",
        ),
    log:
        "logs/draw_cosine_spread/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_cosine_spread"),
    message:
        "Token similarity: draw spread of the cosines of {wildcards.model}"
    script:
        "../scripts/draw_cosine_spread.py"


rule draw_qkv_moments:
    input:
        "results/token_similarity/layers.csv",
    output:
        drawing(
            "token_similarity",
            "qkv_moments_{model}",
            "Token similarity",
            "{model}",
            "mean and variance over sentences",
        ),
    log:
        "logs/draw_qkv_moments/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_qkv_moments"),
    message:
        "Token similarity: draw mean and variance over sentences of {wildcards.model}"
    script:
        "../scripts/draw_qkv_moments.py"


rule draw_matrix:
    input:
        "results/token_similarity/{model}/vectors.h5",
    output:
        drawing(
            "token_similarity",
            "matrix_{model}",
            "Token similarity",
            "{model}",
            "matrix of cosines",
        ),
    log:
        "logs/draw_matrix/{model}.log",
    localrule: True
    params:
        spec=SPECS.draw_matrix(),
    message:
        "Token similarity: draw matrix of cosines of {wildcards.model}"
    script:
        "../scripts/draw_matrix.py"
