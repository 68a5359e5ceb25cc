# Study token_length: MLP pre-activations of every layer against the length of the token in characters.

TOKEN_LENGTH = CONFIG.studies.token_length
TOKEN_LENGTH_FIGURES = "results/token_length/figures"


def token_length_figures():
    """Every figure of the study, in the order of the report, without its ending."""
    if not TOKEN_LENGTH:
        return []
    of_models = expand("{figure}_{model}", figure=["activations", "r_by_layer"], model=TOKEN_LENGTH.models)
    return ["token_lengths", *of_models, "r_across_models", "r_spread"]


rule measure_token_length:
    input:
        # Shards are ancient: their small manifests, with every digest, decide whether they changed.
        shards=lambda w: ancient(shards_of(w.model, TOKEN_LENGTH.corpus, "h5")),
        manifests=lambda w: shards_of(w.model, TOKEN_LENGTH.corpus, "json"),
        vocabulary=lambda w: vocabulary_of(w.model, TOKEN_LENGTH.corpus),
    output:
        neurons="results/token_length/{model}/layer_{layer}.parquet",
        histogram="results/token_length/{model}/histogram_{layer}.parquet",
    params:
        spec=lambda w: SPECS.measure_token_length(),
    log:
        "logs/measure_token_length/{model}/layer_{layer}.log",
    benchmark:
        "logs/measure_token_length/{model}/layer_{layer}.benchmark.tsv"
    message:
        "Token length: measure layer {wildcards.layer} of {wildcards.model}"
    script:
        "../scripts/measure_token_length.py"


rule compare_token_length:
    localrule: True
    input:
        **{
            model: expand("results/token_length/{model}/layer_{layer}.parquet", model=model, layer=layers_of(model))
            for model in (TOKEN_LENGTH.models if TOKEN_LENGTH else [])
        },
    output:
        "results/token_length/layers.csv",
    params:
        spec=lambda w: SPECS.compare_token_length(),
    log:
        "logs/compare_token_length.log",
    message:
        "Token length: compare layers and models"
    script:
        "../scripts/compare_token_length.py"
