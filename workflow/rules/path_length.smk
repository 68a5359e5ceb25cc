# Study path_length: how far attention, MLP and the residual stream move per layer and token.

PATH_LENGTH = CONFIG.studies.path_length
FIGURES["path_length"] = [
    *expand("{figure}_{model}", figure=["path_lengths", "path_r"], model=PATH_LENGTH.models),
    "path_means",
    "path_cumulative",
]


def paths_of(model):
    return expand("results/path_length/{model}/shard_{shard}.h5", model=model, shard=SHARDS)


CLAIMS.append("results/path_length/claims.csv")
RUNS += [paths_of(model)[0] for model in PATH_LENGTH.models]


if PATH_LENGTH.streams == "reduced":

    rule extract_paths:
        input:
            model=lambda w: SPECS.record("models", w.model),
            tokens=lambda w: f"results/tokens/{tokenizer_of(w.model)}/{PATH_LENGTH.corpus}/shard_{w.shard}.h5",
        output:
            "results/path_length/{model}/shard_{shard}.h5",
        log:
            "logs/extract_paths/{model}/shard_{shard}.log",
        benchmark:
            "logs/extract_paths/{model}/shard_{shard}.benchmark.tsv"
        threads: 8
        resources:
            gpu=1,
        params:
            spec=SPECS.extract_paths(),
        message:
            "Path length: extract lengths of {wildcards.model}: shard {wildcards.shard}"
        script:
            "../scripts/extract_paths.py"

else:

    rule reduce_paths:
        input:
            shard=lambda w: ancient(f"results/activations/{w.model}/{PATH_LENGTH.corpus}/shard_{w.shard}.h5"),
            manifest=lambda w: f"results/activations/{w.model}/{PATH_LENGTH.corpus}/shard_{w.shard}.json",
        output:
            "results/path_length/{model}/shard_{shard}.h5",
        log:
            "logs/reduce_paths/{model}/shard_{shard}.log",
        params:
            spec=lambda w: SPECS.reduce_paths(w.model),
        message:
            "Path length: reduce the streams of {wildcards.model}: shard {wildcards.shard}"
        script:
            "../scripts/reduce_paths.py"


rule compare_path_length:
    input:
        **{f"of_{model}": paths_of(model) for model in PATH_LENGTH.models},
        **{f"vocabulary_{model}": vocabulary_of(model, PATH_LENGTH.corpus) for model in PATH_LENGTH.models},
    output:
        "results/path_length/layers.csv",
    log:
        "logs/compare_path_length.log",
    localrule: True
    params:
        spec=SPECS.compare("path_length"),
    message:
        "Path length: compare layers and models"
    script:
        "../scripts/compare_path_length.py"


rule resample_paths:
    input:
        shards=lambda w: paths_of(w.model),
        vocabulary=lambda w: vocabulary_of(w.model, PATH_LENGTH.corpus),
    output:
        "results/path_length/{model}/draws.parquet",
    log:
        "logs/resample_paths/{model}.log",
    params:
        spec=SPECS.script("resample_paths"),
    message:
        "Path length: leave documents out in turn for the intervals of {wildcards.model}"
    script:
        "../scripts/resample_paths.py"


rule judge_path_length:
    input:
        **{f"of_{model}": f"results/path_length/{model}/draws.parquet" for model in PATH_LENGTH.models},
    output:
        "results/path_length/claims.csv",
    log:
        "logs/judge_path_length.log",
    localrule: True
    params:
        spec=SPECS.judge("path_length"),
    message:
        "Path length: judge the claims"
    script:
        "../scripts/judge_path_length.py"


rule draw_path_lengths:
    input:
        lambda w: paths_of(w.model),
    output:
        drawing(
            "path_length",
            "path_lengths_{model}",
            "Path length",
            "{model}",
            "lengths by layer and token",
        ),
    log:
        "logs/draw_path_lengths/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_path_lengths"),
    message:
        "Path length: draw lengths by layer and token of {wildcards.model}"
    script:
        "../scripts/draw_path_lengths.py"


rule draw_path_r:
    input:
        layers="results/path_length/layers.csv",
        draws="results/path_length/{model}/draws.parquet",
    output:
        drawing(
            "path_length",
            "path_r_{model}",
            "Path length",
            "{model}",
            "r with the residual stream",
        ),
    log:
        "logs/draw_path_r/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_path_r"),
    message:
        "Path length: draw r with the residual stream of {wildcards.model}"
    script:
        "../scripts/draw_path_r.py"


rule draw_path_means:
    input:
        "results/path_length/layers.csv",
    output:
        drawing("path_length", "path_means", "Path length", "all models", "mean lengths"),
    log:
        "logs/draw_path_means.log",
    localrule: True
    params:
        spec=SPECS.draw_path_means("draw_path_means"),
    message:
        "Path length: draw mean lengths"
    script:
        "../scripts/draw_path_means.py"


rule draw_path_cumulative:
    input:
        "results/path_length/layers.csv",
    output:
        drawing(
            "path_length",
            "path_cumulative",
            "Path length",
            "all models",
            "cumulative lengths",
        ),
    log:
        "logs/draw_path_cumulative.log",
    localrule: True
    params:
        spec=SPECS.draw_path_means("draw_path_cumulative"),
    message:
        "Path length: draw cumulative lengths"
    script:
        "../scripts/draw_path_cumulative.py"
