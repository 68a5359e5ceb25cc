# Token shards to summaries: sums of every neuron over all tokens, made while the model runs or of stored activations.


def shards_that_are(stored):
    """A pattern for the numbers of the token shards that are wholly stored, or of those that are not."""
    return "|".join(shard for shard in SHARDS if CONFIG.is_stored(int(shard)) == stored) or "(?!)"


def stored_of(wildcards, ending):
    """The activation shards of a token shard, or their manifests."""
    parts = CONFIG.sampling.sequences_per_shard // CONFIG.sampling.stored_per_shard
    first = int(wildcards.shard) * parts
    shard = f"<results>/activations/{wildcards.model}/{wildcards.corpus}/shard"
    return [f"{shard}_{number:04d}.{ending}" for number in range(first, first + parts)]


rule summarize:
    input:
        model=lambda w: SPECS.record("models", w.model),
        tokens=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{w.corpus}/shard_{w.shard}.h5",
        types=lambda w: frequency_of(w.model, w.corpus),
    output:
        "<results>/summaries/{model}/{corpus}/shard_{shard}.h5",
    log:
        "<logs>/summarize/{model}/{corpus}/shard_{shard}.log",
    benchmark:
        "<logs>/summarize/{model}/{corpus}/shard_{shard}.benchmark.tsv"
    wildcard_constraints:
        shard=shards_that_are(stored=False),
    threads: lambda w: NEEDS.threads(CONFIG.models[w.model].source)
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.summarize(model_size(input.model), threads)),
        gpu=1,
    params:
        spec=lambda w: SPECS.summarize(w.model),
    message:
        "Summarize activations of {wildcards.model} on {wildcards.corpus}: shard {wildcards.shard}"
    script:
        "../scripts/summarize.py"


rule summarize_stored:
    input:
        activations=lambda w: ancient(stored_of(w, "h5")),
        # These decide whether the activations changed.
        manifests=lambda w: stored_of(w, "json"),
        tokens=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{w.corpus}/shard_{w.shard}.h5",
        types=lambda w: frequency_of(w.model, w.corpus),
    output:
        "<results>/summaries/{model}/{corpus}/shard_{shard}.h5",
    log:
        "<logs>/summarize_stored/{model}/{corpus}/shard_{shard}.log",
    benchmark:
        "<logs>/summarize_stored/{model}/{corpus}/shard_{shard}.benchmark.tsv"
    wildcard_constraints:
        shard=shards_that_are(stored=True),
    resources:
        **NEEDS.ask(
            lambda w, input, threads: NEEDS.summarize_stored(
                CONFIG.models[w.model].layers, stored_width(input.manifests[0])
            )
        ),
    params:
        spec=lambda w: SPECS.summarize_stored(w.model),
    message:
        "Summarize stored activations of {wildcards.model} on {wildcards.corpus}: shard {wildcards.shard}"
    script:
        "../scripts/summarize_stored.py"
