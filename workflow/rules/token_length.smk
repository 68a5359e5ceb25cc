# Study token_length: MLP pre-activations of every layer against the length of the token in characters.

LENGTH = STUDIES["token_length"]
SUMMARIES = "summaries/{model}/{corpus}/shard_{shard}.h5"


MEASURED = layer_jobs(LENGTH, lambda size: LENGTH.stored_tokens * size.mlp)
LAYER_JOBS["token_length"] = jobs_of_models(LENGTH, MEASURED)


for jobs in MEASURED:

    rule:
        name:
            jobs.rule("correlate_token_length")
        input:
            summaries=lambda w: LENGTH.paths(SUMMARIES, model=w.model),
            # Shards are ancient: their small manifests, with every digest, decide whether they changed.
            shards=lambda w: ancient(shards_of(w.model, LENGTH.corpus, "h5")),
            manifests=lambda w: shards_of(w.model, LENGTH.corpus, "json"),
            vocabulary=lambda w: vocabulary_of(w.model, LENGTH.corpus),
        output:
            neurons=jobs.files("<results>/token_length/{model}/layer_{layer}.parquet"),
            histogram=jobs.files("<results>/token_length/{model}/histogram_{layer}.parquet"),
        log:
            jobs.file("<logs>/correlate_token_length/{model}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/correlate_token_length/{model}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            model=jobs.constraint,
        priority: 1  # matching waits for it
        resources:
            **NEEDS.ask(
                lambda w, input, threads: NEEDS.correlate(stored_width(input.manifests[0])),
                jobs.layers_each,
            ),
        params:
            spec=SPECS.of("correlate_token_length"),
        message:
            f"Token length: correlate {jobs.label} of {{wildcards.model}}"
        script:
            "../scripts/correlate_token_length.py"

    rule:
        name:
            jobs.rule("describe_neurons")
        input:
            summaries=lambda w: LENGTH.paths(SUMMARIES, model=w.model),
            shards=lambda w: ancient(shards_of(w.model, LENGTH.corpus, "h5")),
            manifests=lambda w: shards_of(w.model, LENGTH.corpus, "json"),
            vocabulary=lambda w: vocabulary_of(w.model, LENGTH.corpus),
        output:
            contexts=jobs.files("<results>/token_length/{model}/contexts_{layer}.parquet"),
            by_length=jobs.files("<results>/token_length/{model}/by_length_{layer}.parquet"),
            histogram=jobs.files("<results>/token_length/{model}/neuron_histogram_{layer}.parquet"),
            types=jobs.files("<results>/token_length/{model}/token_types_{layer}.parquet"),
        log:
            jobs.file("<logs>/describe_neurons/{model}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/describe_neurons/{model}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            model=jobs.constraint,
        resources:
            **NEEDS.ask(
                lambda w, input, threads: NEEDS.describe(stored_width(input.manifests[0])),
                jobs.layers_each,
            ),
        params:
            spec=SPECS.of("describe_neurons"),
        message:
            f"Token length: describe the neurons of {jobs.label} of {{wildcards.model}}"
        script:
            "../scripts/describe_neurons.py"

    rule:
        name:
            jobs.rule("resample_token_length")
        input:
            summaries=lambda w: LENGTH.paths(SUMMARIES, model=w.model),
            shards=lambda w: ancient(shards_of(w.model, LENGTH.corpus, "h5")),
            manifests=lambda w: shards_of(w.model, LENGTH.corpus, "json"),
            vocabulary=lambda w: vocabulary_of(w.model, LENGTH.corpus),
        output:
            neurons=jobs.files("<results>/token_length/{model}/inference_{layer}.parquet"),
            resamples=jobs.files("<results>/token_length/{model}/resamples_{layer}.parquet"),
        log:
            jobs.file("<logs>/resample_token_length/{model}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/resample_token_length/{model}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            model=jobs.constraint,
        resources:
            **NEEDS.ask(
                lambda w, input, threads: NEEDS.resample(stored_width(input.manifests[0]), LENGTH.settings.resamples),
                jobs.layers_each,
            ),
        params:
            spec=SPECS.of("resample_token_length"),
        message:
            f"Token length: resample {jobs.label} of {{wildcards.model}}"
        script:
            "../scripts/resample_token_length.py"

    rule:
        name:
            jobs.rule("test_unimodality")
        input:
            shards=lambda w: ancient(shards_of(w.model, LENGTH.corpus, "h5")),
            manifests=lambda w: shards_of(w.model, LENGTH.corpus, "json"),
            vocabulary=lambda w: vocabulary_of(w.model, LENGTH.corpus),
        output:
            neurons=jobs.files("<results>/token_length/{model}/dip_{layer}.parquet"),
            simulated=jobs.files("<results>/token_length/{model}/simulated_unimodal_{layer}.parquet"),
            histograms=jobs.files("<results>/token_length/{model}/standardized_histogram_{layer}.parquet"),
        log:
            jobs.file("<logs>/test_unimodality/{model}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/test_unimodality/{model}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            model=jobs.constraint,
        resources:
            **NEEDS.ask(
                lambda w, input, threads: NEEDS.test_unimodality(
                    stored_width(input.manifests[0]), LENGTH.settings.resamples
                ),
                jobs.layers_each,
            ),
        params:
            spec=SPECS.of("test_unimodality"),
        message:
            f"Token length: test {jobs.label} of {{wildcards.model}} for unimodality"
        script:
            "../scripts/test_unimodality.py"

    if LENGTH.settings.properties:

        rule:
            name:
                jobs.rule("resample_properties")
            input:
                summaries=lambda w: LENGTH.paths(SUMMARIES, model=w.model),
                shards=lambda w: ancient(shards_of(w.model, LENGTH.corpus, "h5")),
                manifests=lambda w: shards_of(w.model, LENGTH.corpus, "json"),
                vocabulary=lambda w: vocabulary_of(w.model, LENGTH.corpus),
            output:
                neurons=jobs.files("<results>/token_length/{model}/properties_{layer}.parquet"),
                resamples=jobs.files("<results>/token_length/{model}/property_resamples_{layer}.parquet"),
            log:
                jobs.file("<logs>/resample_properties/{model}/layer_{layer}.log"),
            benchmark:
                jobs.file("<logs>/resample_properties/{model}/layer_{layer}.benchmark.tsv")
            wildcard_constraints:
                model=jobs.constraint,
            resources:
                **NEEDS.ask(
                    lambda w, input, threads: NEEDS.resample_properties(
                        stored_width(input.manifests[0]), LENGTH.settings.resamples, len(LENGTH.settings.properties)
                    ),
                    jobs.layers_each,
                ),
            params:
                spec=lambda w: SPECS.of(
                    "resample_properties",
                    properties=SPECS.properties(tokenizer_of(w.model), LENGTH.settings.properties),
                ),
            message:
                f"Token length: resample properties, {jobs.label} of {{wildcards.model}}"
            script:
                "../scripts/resample_properties.py"


for jobs in whole_models(LENGTH):

    rule:
        name:
            jobs.rule("describe_weights")
        input:
            model=lambda w: SPECS.record("models", w.model),
            tokenizer=lambda w: SPECS.record("tokenizers", tokenizer_of(w.model)),
        output:
            weights=jobs.files("<results>/token_length/{model}/weights_{layer}.parquet"),
            logits=jobs.files("<results>/token_length/{model}/logits_{layer}.parquet"),
        log:
            "<logs>/describe_weights/{model}.log",
        benchmark:
            "<logs>/describe_weights/{model}.benchmark.tsv"
        wildcard_constraints:
            model=jobs.constraint,
        threads: lambda w: NEEDS.threads(CONFIG.models[w.model].source)
        resources:
            **NEEDS.ask(lambda w, input, threads: NEEDS.describe_weights(model_size(input.model), threads)),
        params:
            spec=SPECS.of("describe_weights"),
        message:
            "Token length: describe the weights of {wildcards.model}"
        script:
            "../scripts/describe_weights.py"


rule summarize_token_length:
    input:
        **of_models(LENGTH, of="token_length/{model}/layer_{layer}.parquet"),
    output:
        "<results>/token_length/layers.csv",
    log:
        "<logs>/summarize_token_length.log",
    localrule: True
    params:
        spec=SPECS.of("summarize_token_length"),
    message:
        "Token length: summarize layers and models"
    script:
        "../scripts/summarize_token_length.py"


rule summarize_evidence:
    input:
        **of_models(
            LENGTH,
            inference="token_length/{model}/inference_{layer}.parquet",
            resamples="token_length/{model}/resamples_{layer}.parquet",
        ),
    output:
        "<results>/token_length/evidence.csv",
    log:
        "<logs>/summarize_evidence.log",
    localrule: True
    params:
        spec=SPECS.of("summarize_evidence"),
    message:
        "Token length: summarize the evidence of all layers and models"
    script:
        "../scripts/summarize_evidence.py"


if LENGTH.settings.properties:

    rule summarize_properties:
        input:
            **of_models(
                LENGTH,
                neurons="token_length/{model}/properties_{layer}.parquet",
                resamples="token_length/{model}/property_resamples_{layer}.parquet",
            ),
        output:
            "<results>/token_length/properties.csv",
        log:
            "<logs>/summarize_properties.log",
        localrule: True
        params:
            spec=SPECS.of("summarize_properties"),
        message:
            "Token length: summarize the evidence on properties of tokens"
        script:
            "../scripts/summarize_properties.py"


rule simulate_dip_power:
    input:
        tokens=lambda w: stored_token_shards(w.tokenizer, LENGTH.corpus),
        vocabulary=f"<results>/tokens/{{tokenizer}}/{LENGTH.corpus}/vocabulary.parquet",
    output:
        "<results>/token_length/dip_power_{tokenizer}.csv",
    log:
        "<logs>/simulate_dip_power/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.of("simulate_dip_power"),
    message:
        "Token length: simulate the power of the dip test, {wildcards.tokenizer}"
    script:
        "../scripts/simulate_dip_power.py"


rule summarize_multimodality:
    input:
        **of_models(
            LENGTH,
            dips="token_length/{model}/dip_{layer}.parquet",
            simulated="token_length/{model}/simulated_unimodal_{layer}.parquet",
        ),
    output:
        "<results>/token_length/multimodality.csv",
    log:
        "<logs>/summarize_multimodality.log",
    localrule: True
    params:
        spec=SPECS.of("summarize_multimodality"),
    message:
        "Token length: summarize multimodal neurons"
    script:
        "../scripts/summarize_multimodality.py"


MATCHED = [LENGTH.models[model] for model, _ in LENGTH.settings.pairs]

for jobs in layer_jobs(LENGTH, matching(MATCHED, LENGTH.stored_tokens)):

    rule:
        name:
            jobs.rule("match_neurons")
        input:
            shards=lambda w: ancient(shards_of(w.model, LENGTH.corpus, "h5")),
            manifests=lambda w: shards_of(w.model, LENGTH.corpus, "json"),
            neurons=lambda w: LENGTH.paths("token_length/{model}/layer_{layer}.parquet", model=w.model),
            other_shards=lambda w: ancient(shards_of(w.other, LENGTH.corpus, "h5")),
            other_manifests=lambda w: shards_of(w.other, LENGTH.corpus, "json"),
            # Of all layers, so that the inputs are the same however many of them share the job.
            other_neurons=lambda w: LENGTH.paths("token_length/{model}/layer_{layer}.parquet", model=w.other),
            vocabulary=lambda w: vocabulary_of(w.model, LENGTH.corpus),
        output:
            matches=jobs.files("<results>/token_length/{model}/matches_{other}_{layer}.parquet"),
            back=jobs.files("<results>/token_length/{other}/best_in_{model}_{layer}.parquet"),
        log:
            jobs.file("<logs>/match_neurons/{model}/{other}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/match_neurons/{model}/{other}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            other=jobs.constraint,
        # Jobs of one core would keep it waiting for four until they are all done.
        priority: 1
        threads: 4
        resources:
            **NEEDS.ask(
                lambda w, input, threads: NEEDS.match(
                    stored_width(input.manifests[0]),
                    LENGTH.models[w.model].layers,
                    stored_width(input.other_manifests[0]),
                    threads,
                ),
                jobs.layers_each,
            ),
        params:
            spec=SPECS.of("match_neurons"),
        message:
            f"Token length: match neurons of {{wildcards.model}} with {jobs.label} of {{wildcards.other}}"
        script:
            "../scripts/match_neurons.py"


rule summarize_matches:
    input:
        **{
            f"pair_{number}": [
                f"<results>/token_length/{model}/matches_{other}_{layer:02d}.parquet"
                for layer in range(LENGTH.models[other].layers)
            ]
            for number, (model, other) in enumerate(LENGTH.settings.pairs)
        },
    output:
        "<results>/token_length/matches.csv",
    log:
        "<logs>/summarize_matches.log",
    localrule: True
    params:
        spec=SPECS.of("summarize_matches"),
    message:
        "Token length: summarize matched neurons of pairs of models"
    script:
        "../scripts/summarize_matches.py"


rule correlate_profiles:
    input:
        layers="<results>/token_length/layers.csv",
        evidence="<results>/token_length/evidence.csv",
    output:
        "<results>/token_length/profiles.csv",
    log:
        "<logs>/correlate_profiles.log",
    localrule: True
    params:
        spec=SPECS.of("correlate_profiles"),
    message:
        "Token length: correlate profiles of pairs of models"
    script:
        "../scripts/correlate_profiles.py"


rule correlate_confounds:
    input:
        tokens=lambda w: LENGTH.paths("tokens/{tokenizer}/{corpus}/shard_{shard}.h5", tokenizer=w.tokenizer),
        vocabulary=f"<results>/tokens/{{tokenizer}}/{LENGTH.corpus}/vocabulary.parquet",
    output:
        "<results>/token_length/confounds_{tokenizer}.csv",
    log:
        "<logs>/correlate_confounds/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.of("correlate_confounds"),
    message:
        "Token length: correlate length with its confounds, {wildcards.tokenizer}"
    script:
        "../scripts/correlate_confounds.py"


rule count_lengths:
    input:
        tokens=lambda w: LENGTH.paths("tokens/{tokenizer}/{corpus}/shard_{shard}.h5", tokenizer=w.tokenizer),
        vocabulary=f"<results>/tokens/{{tokenizer}}/{LENGTH.corpus}/vocabulary.parquet",
    output:
        "<results>/token_length/lengths_{tokenizer}.parquet",
    log:
        "<logs>/count_lengths/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.of("count_lengths"),
    message:
        "Token length: count lengths by document, {wildcards.tokenizer}"
    script:
        "../scripts/count_lengths.py"


rule evaluate_token_length_claims:
    input:
        **of_models(LENGTH, resamples="token_length/{model}/resamples_{layer}.parquet"),
        **{f"lengths_{name}": f"<results>/token_length/lengths_{name}.parquet" for name in LENGTH.tokenizers},
        multimodality="<results>/token_length/multimodality.csv",
    output:
        "<results>/token_length/claims.csv",
    log:
        "<logs>/evaluate_token_length_claims.log",
    localrule: True
    params:
        spec=SPECS.of("evaluate_token_length_claims"),
    message:
        "Token length: evaluate the claims"
    script:
        "../scripts/evaluate_token_length_claims.py"
