# Study path_length: how far attention, MLP and the residual stream move per layer and token.

PATHS = STUDIES["path_length"]
REDUCED = PATHS.settings.streams == "reduced"
PATH_SHARDS = f"path_length/{{model}}/shard_{{{'shard' if REDUCED else 'stored_shard'}}}.h5"


def types_of(model):
    """The types of tokens. Of them the shards need the static columns, which change with the tokenizer alone, and then
    the tokens do too."""
    return ancient(frequency_of(model, PATHS.corpus))


if REDUCED:

    rule extract_paths:
        input:
            model=lambda w: SPECS.record("models", w.model),
            tokens=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{PATHS.corpus}/shard_{w.shard}.h5",
            types=lambda w: types_of(w.model),
        output:
            "<results>/path_length/{model}/shard_{shard}.h5",
        log:
            "<logs>/extract_paths/{model}/shard_{shard}.log",
        benchmark:
            "<logs>/extract_paths/{model}/shard_{shard}.benchmark.tsv"
        threads: lambda w: NEEDS.threads(CONFIG.models[w.model].source)
        resources:
            **NEEDS.ask(lambda w, input, threads: NEEDS.extract_paths(model_size(input.model), threads)),
            gpu=1,
        params:
            spec=lambda w: SPECS.of("extract_paths", stored_sequences=CONFIG.sampling.stored_of(int(w.shard))),
        message:
            "Path length: extract path lengths of {wildcards.model}: shard {wildcards.shard}"
        script:
            "../scripts/extract_paths.py"

else:

    rule reduce_paths:
        input:
            shard=lambda w: ancient(f"<results>/activations/{w.model}/{PATHS.corpus}/shard_{w.shard}.h5"),
            manifest=lambda w: f"<results>/activations/{w.model}/{PATHS.corpus}/shard_{w.shard}.json",
            types=lambda w: types_of(w.model),
        output:
            "<results>/path_length/{model}/shard_{shard}.h5",
        log:
            "<logs>/reduce_paths/{model}/shard_{shard}.log",
        params:
            spec=lambda w: SPECS.of("reduce_paths", layers=PATHS.models[w.model].layers),
        message:
            "Path length: reduce the streams of {wildcards.model}: shard {wildcards.shard}"
        script:
            "../scripts/reduce_paths.py"


rule summarize_path_length:
    input:
        **of_models(PATHS, of=PATH_SHARDS),
    output:
        "<results>/path_length/layers.csv",
    log:
        "<logs>/summarize_path_length.log",
    localrule: True
    params:
        spec=SPECS.of("summarize_path_length"),
    message:
        "Path length: summarize layers and models"
    script:
        "../scripts/summarize_path_length.py"


rule jackknife_paths:
    input:
        shards=lambda w: PATHS.paths(PATH_SHARDS, model=w.model),
    output:
        "<results>/path_length/{model}/resamples.parquet",
    log:
        "<logs>/jackknife_paths/{model}.log",
    params:
        spec=SPECS.of("jackknife_paths"),
    message:
        "Path length: jackknife over documents of {wildcards.model}"
    script:
        "../scripts/jackknife_paths.py"


rule evaluate_path_length_claims:
    input:
        **{f"of_{model}": f"<results>/path_length/{model}/resamples.parquet" for model in PATHS.models},
    output:
        "<results>/path_length/claims.csv",
    log:
        "<logs>/evaluate_path_length_claims.log",
    localrule: True
    params:
        spec=SPECS.of("evaluate_path_length_claims"),
    message:
        "Path length: evaluate the claims"
    script:
        "../scripts/evaluate_path_length_claims.py"
