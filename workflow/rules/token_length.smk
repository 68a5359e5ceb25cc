# Study token_length: MLP pre-activations of every layer against the length of the token in characters.

TOKEN_LENGTH = CONFIG.studies.token_length

FIGURES["token_length"] = [
    "token_lengths",
    *expand(
        "{figure}_{model}",
        figure=["activations", "r_by_layer", "r_confounds"],
        model=TOKEN_LENGTH.models,
    ),
    "r_across_models",
    "r_spread",
    "multimodality",
    "dip_power",
    *expand("modes_{model}", model=TOKEN_LENGTH.models),
]
RUNS += [shards_of(model, TOKEN_LENGTH.corpus, "h5")[0] for model in TOKEN_LENGTH.models]
CLAIMS.append("results/token_length/claims.csv")
TABLES["token_length"] = {
    "vocabularies": sorted({vocabulary_of(model, TOKEN_LENGTH.corpus) for model in TOKEN_LENGTH.models}),
    "evidence": "results/token_length/evidence.csv",
    "modality": "results/token_length/modality.csv",
    "confounds": sorted({f"results/token_length/confounds_{tokenizer_of(m)}.csv" for m in TOKEN_LENGTH.models}),
    "dip_power": sorted({f"results/token_length/dip_power_{tokenizer_of(m)}.csv" for m in TOKEN_LENGTH.models}),
}
if TOKEN_LENGTH.pairs:
    FIGURES["token_length"] += ["profiles", "matches"]
    TABLES["token_length"] |= {
        "profiles": "results/token_length/profiles.csv",
        "matches": "results/token_length/matches.csv",
    }


def layers_tables(table):
    """model → a table of each of its layers."""
    return {
        model: expand(f"results/token_length/{model}/{table}_{{layer}}.parquet", layer=layers_of(model))
        for model in TOKEN_LENGTH.models
    }


rule measure_token_length:
    input:
        # Shards are ancient: their small manifests, with every digest, decide whether they changed.
        shards=lambda w: ancient(shards_of(w.model, TOKEN_LENGTH.corpus, "h5")),
        manifests=lambda w: shards_of(w.model, TOKEN_LENGTH.corpus, "json"),
        vocabulary=lambda w: vocabulary_of(w.model, TOKEN_LENGTH.corpus),
    output:
        neurons="results/token_length/{model}/layer_{layer}.parquet",
        histogram="results/token_length/{model}/histogram_{layer}.parquet",
    log:
        "logs/measure_token_length/{model}/layer_{layer}.log",
    benchmark:
        "logs/measure_token_length/{model}/layer_{layer}.benchmark.tsv"
    params:
        spec=lambda w: SPECS.measure_token_length(),
    message:
        "Token length: measure layer {wildcards.layer} of {wildcards.model}"
    script:
        "../scripts/measure_token_length.py"


rule compare_token_length:
    input:
        **{f"of_{model}": tables for model, tables in layers_tables("layer").items()},
    output:
        "results/token_length/layers.csv",
    log:
        "logs/compare_token_length.log",
    localrule: True
    params:
        spec=lambda w: SPECS.compare("token_length"),
    message:
        "Token length: compare layers and models"
    script:
        "../scripts/compare_token_length.py"


rule assess_token_length:
    input:
        shards=lambda w: ancient(shards_of(w.model, TOKEN_LENGTH.corpus, "h5")),
        manifests=lambda w: shards_of(w.model, TOKEN_LENGTH.corpus, "json"),
        vocabulary=lambda w: vocabulary_of(w.model, TOKEN_LENGTH.corpus),
        frequency=lambda w: frequency_of(w.model, TOKEN_LENGTH.corpus),
    output:
        neurons="results/token_length/{model}/assessed_{layer}.parquet",
        draws="results/token_length/{model}/draws_{layer}.parquet",
    log:
        "logs/assess_token_length/{model}/layer_{layer}.log",
    benchmark:
        "logs/assess_token_length/{model}/layer_{layer}.benchmark.tsv"
    params:
        spec=SPECS.assess_token_length(),
    message:
        "Token length: assess layer {wildcards.layer} of {wildcards.model}"
    script:
        "../scripts/assess_token_length.py"


rule weigh_token_length:
    input:
        **{f"assessed_{model}": paths for model, paths in layers_tables("assessed").items()},
        **{f"draws_{model}": paths for model, paths in layers_tables("draws").items()},
    output:
        "results/token_length/evidence.csv",
    log:
        "logs/weigh_token_length.log",
    localrule: True
    params:
        spec=SPECS.of_models("weigh_token_length"),
    message:
        "Token length: weigh the evidence of all layers and models"
    script:
        "../scripts/weigh_token_length.py"


rule test_modality:
    input:
        shards=lambda w: ancient(shards_of(w.model, TOKEN_LENGTH.corpus, "h5")),
        manifests=lambda w: shards_of(w.model, TOKEN_LENGTH.corpus, "json"),
        vocabulary=lambda w: vocabulary_of(w.model, TOKEN_LENGTH.corpus),
    output:
        neurons="results/token_length/{model}/modality_{layer}.parquet",
        unimodal="results/token_length/{model}/unimodal_{layer}.parquet",
        histograms="results/token_length/{model}/modes_{layer}.parquet",
    log:
        "logs/test_modality/{model}/layer_{layer}.log",
    benchmark:
        "logs/test_modality/{model}/layer_{layer}.benchmark.tsv"
    params:
        spec=SPECS.draws("test_modality"),
    message:
        "Token length: test layer {wildcards.layer} of {wildcards.model} for several modes"
    script:
        "../scripts/test_modality.py"


rule simulate_dip_power:
    input:
        tokens=lambda w: expand(
            "results/tokens/{{tokenizer}}/{corpus}/shard_{shard}.h5",
            corpus=TOKEN_LENGTH.corpus,
            shard=SHARDS,
        ),
        vocabulary=f"results/tokens/{{tokenizer}}/{TOKEN_LENGTH.corpus}/vocabulary.parquet",
    output:
        "results/token_length/dip_power_{tokenizer}.csv",
    log:
        "logs/simulate_dip_power/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.draws("simulate_dip_power"),
    message:
        "Token length: simulate which modes the dip test could see, {wildcards.tokenizer}"
    script:
        "../scripts/simulate_dip_power.py"


rule count_multimodal:
    input:
        **{f"modality_{model}": paths for model, paths in layers_tables("modality").items()},
        **{f"unimodal_{model}": paths for model, paths in layers_tables("unimodal").items()},
    output:
        "results/token_length/modality.csv",
    log:
        "logs/count_multimodal.log",
    localrule: True
    params:
        spec=SPECS.of_models("count_multimodal"),
    message:
        "Token length: count neurons with several modes"
    script:
        "../scripts/count_multimodal.py"


rule match_neurons:
    input:
        shards=lambda w: ancient(shards_of(w.model, TOKEN_LENGTH.corpus, "h5")),
        manifests=lambda w: shards_of(w.model, TOKEN_LENGTH.corpus, "json"),
        neurons=lambda w: layers_tables("layer")[w.model],
        other_shards=lambda w: ancient(shards_of(w.other, TOKEN_LENGTH.corpus, "h5")),
        other_manifests=lambda w: shards_of(w.other, TOKEN_LENGTH.corpus, "json"),
        other_neurons="results/token_length/{other}/layer_{layer}.parquet",
        vocabulary=lambda w: vocabulary_of(w.model, TOKEN_LENGTH.corpus),
    output:
        "results/token_length/{model}/matches_{other}_{layer}.parquet",
    log:
        "logs/match_neurons/{model}/{other}/layer_{layer}.log",
    benchmark:
        "logs/match_neurons/{model}/{other}/layer_{layer}.benchmark.tsv"
    threads: 4
    params:
        spec=SPECS.match_neurons(),
    message:
        "Token length: match neurons of {wildcards.model} with layer {wildcards.layer} of {wildcards.other}"
    script:
        "../scripts/match_neurons.py"


rule compare_neurons:
    input:
        **{
            f"pair_{number}": expand(
                "results/token_length/{model}/matches_{other}_{layer}.parquet",
                model=model,
                other=other,
                layer=layers_of(other),
            )
            for number, (model, other) in enumerate(TOKEN_LENGTH.pairs)
        },
    output:
        "results/token_length/matches.csv",
    log:
        "logs/compare_neurons.log",
    localrule: True
    params:
        spec=SPECS.of_pairs("compare_neurons"),
    message:
        "Token length: compare matched neurons of pairs of models"
    script:
        "../scripts/compare_neurons.py"


rule compare_profiles:
    input:
        layers="results/token_length/layers.csv",
        evidence="results/token_length/evidence.csv",
    output:
        "results/token_length/profiles.csv",
    log:
        "logs/compare_profiles.log",
    localrule: True
    params:
        spec=SPECS.of_pairs("compare_profiles"),
    message:
        "Token length: compare profiles of pairs of models"
    script:
        "../scripts/compare_profiles.py"


rule correlate_confounds:
    input:
        tokens=lambda w: expand(
            "results/tokens/{{tokenizer}}/{corpus}/shard_{shard}.h5",
            corpus=TOKEN_LENGTH.corpus,
            shard=SHARDS,
        ),
        vocabulary=f"results/tokens/{{tokenizer}}/{TOKEN_LENGTH.corpus}/vocabulary.parquet",
        frequency=f"results/tokens/{{tokenizer}}/{TOKEN_LENGTH.corpus}/frequency.parquet",
    output:
        "results/token_length/confounds_{tokenizer}.csv",
    log:
        "logs/correlate_confounds/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.script("correlate_confounds"),
    message:
        "Token length: correlate length with its confounds, {wildcards.tokenizer}"
    script:
        "../scripts/correlate_confounds.py"


rule count_lengths:
    input:
        tokens=lambda w: expand(
            "results/tokens/{{tokenizer}}/{corpus}/shard_{shard}.h5",
            corpus=TOKEN_LENGTH.corpus,
            shard=SHARDS,
        ),
        vocabulary=f"results/tokens/{{tokenizer}}/{TOKEN_LENGTH.corpus}/vocabulary.parquet",
    output:
        "results/token_length/lengths_{tokenizer}.parquet",
    log:
        "logs/count_lengths/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.script("count_lengths"),
    message:
        "Token length: count lengths by document, {wildcards.tokenizer}"
    script:
        "../scripts/count_lengths.py"


rule judge_token_length:
    input:
        **{f"draws_{model}": paths for model, paths in layers_tables("draws").items()},
        **{
            f"lengths_{tokenizer}": f"results/token_length/lengths_{tokenizer}.parquet"
            for tokenizer in map(tokenizer_of, TOKEN_LENGTH.models)
        },
        modality="results/token_length/modality.csv",
    output:
        "results/token_length/claims.csv",
    log:
        "logs/judge_token_length.log",
    localrule: True
    params:
        spec=SPECS.judge_token_length(),
    message:
        "Token length: judge the claims"
    script:
        "../scripts/judge_token_length.py"


# A rule a figure: each reads only what it shows, so that a setting redraws one figure and not all.


rule draw_token_lengths:
    input:
        **{f"of_{tokenizer_of(model)}": vocabulary_of(model, TOKEN_LENGTH.corpus) for model in TOKEN_LENGTH.models},
    output:
        drawing("token_length", "token_lengths", "Token length", "sample", "token lengths"),
    log:
        "logs/draw_token_lengths.log",
    localrule: True
    params:
        spec=SPECS.script("draw_token_lengths"),
    message:
        "Token length: draw the lengths of the sample's tokens"
    script:
        "../scripts/draw_token_lengths.py"


rule draw_activations:
    input:
        pooled=lambda w: f"results/token_length/{w.model}/histogram_{TOKEN_LENGTH.histogram_layer:02d}.parquet",
        standardised=lambda w: f"results/token_length/{w.model}/modes_{TOKEN_LENGTH.histogram_layer:02d}.parquet",
    output:
        drawing(
            "token_length",
            "activations_{model}",
            "Token length",
            "{model}",
            "activations by length group",
        ),
    log:
        "logs/draw_activations/{model}.log",
    localrule: True
    params:
        spec=SPECS.draw_activations(),
    message:
        "Token length: draw activations of {wildcards.model}"
    script:
        "../scripts/draw_activations.py"


rule draw_r_by_layer:
    input:
        layers=lambda w: layers_tables("layer")[w.model],
        evidence="results/token_length/evidence.csv",
    output:
        drawing(
            "token_length",
            "r_by_layer_{model}",
            "Token length",
            "{model}",
            "r by layer",
        ),
    log:
        "logs/draw_r_by_layer/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_r_by_layer"),
    message:
        "Token length: draw r by layer of {wildcards.model}"
    script:
        "../scripts/draw_r_by_layer.py"


rule draw_r_confounds:
    input:
        "results/token_length/evidence.csv",
    output:
        drawing(
            "token_length",
            "r_confounds_{model}",
            "Token length",
            "{model}",
            "r given confounds",
        ),
    log:
        "logs/draw_r_confounds/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_r_confounds"),
    message:
        "Token length: draw r given confounds of {wildcards.model}"
    script:
        "../scripts/draw_r_confounds.py"


rule draw_r_across_models:
    input:
        layers="results/token_length/layers.csv",
        evidence="results/token_length/evidence.csv",
    output:
        drawing(
            "token_length",
            "r_across_models",
            "Token length",
            "all models",
            "r on relative depth",
        ),
    log:
        "logs/draw_r_across_models.log",
    localrule: True
    params:
        spec=SPECS.script("draw_r_across_models"),
    message:
        "Token length: draw r of all models on relative depth"
    script:
        "../scripts/draw_r_across_models.py"


rule draw_r_spread:
    input:
        layers="results/token_length/layers.csv",
        evidence="results/token_length/evidence.csv",
    output:
        drawing("token_length", "r_spread", "Token length", "all models", "spread of r"),
    log:
        "logs/draw_r_spread.log",
    localrule: True
    params:
        spec=SPECS.script("draw_r_spread"),
    message:
        "Token length: draw the spread of r of all models"
    script:
        "../scripts/draw_r_spread.py"


rule draw_multimodality:
    input:
        "results/token_length/modality.csv",
    output:
        drawing("token_length", "multimodality", "Token length", "all models", "neurons with several modes"),
    log:
        "logs/draw_multimodality.log",
    localrule: True
    params:
        spec=SPECS.script("draw_multimodality"),
    message:
        "Token length: draw the share of neurons with several modes"
    script:
        "../scripts/draw_multimodality.py"


rule draw_dip_power:
    input:
        **{
            f"of_{tokenizer}": f"results/token_length/dip_power_{tokenizer}.csv"
            for tokenizer in map(tokenizer_of, TOKEN_LENGTH.models)
        },
    output:
        drawing("token_length", "dip_power", "Token length", "sample", "which modes the dip test could see"),
    log:
        "logs/draw_dip_power.log",
    localrule: True
    params:
        spec=SPECS.script("draw_dip_power"),
    message:
        "Token length: draw which modes the dip test could see"
    script:
        "../scripts/draw_dip_power.py"


rule draw_modes:
    input:
        modality=lambda w: layers_tables("modality")[w.model],
        histograms=lambda w: layers_tables("modes")[w.model],
    output:
        drawing(
            "token_length",
            "modes_{model}",
            "Token length",
            "{model}",
            "neurons with the largest dips",
        ),
    log:
        "logs/draw_modes/{model}.log",
    localrule: True
    params:
        spec=SPECS.script("draw_modes"),
    message:
        "Token length: draw the neurons of {wildcards.model} with the largest dips"
    script:
        "../scripts/draw_modes.py"


rule draw_profiles:
    input:
        "results/token_length/profiles.csv",
    output:
        drawing(
            "token_length",
            "profiles",
            "Token length",
            "pairs of models",
            "quantiles of r on relative depth",
        ),
    log:
        "logs/draw_profiles.log",
    localrule: True
    params:
        spec=SPECS.script("draw_profiles"),
    message:
        "Token length: draw profiles of pairs of models"
    script:
        "../scripts/draw_profiles.py"


rule draw_matches:
    input:
        "results/token_length/matches.csv",
    output:
        drawing("token_length", "matches", "Token length", "pairs of models", "matched neurons"),
    log:
        "logs/draw_matches.log",
    localrule: True
    params:
        spec=SPECS.script("draw_matches"),
    message:
        "Token length: draw matched neurons of pairs of models"
    script:
        "../scripts/draw_matches.py"
