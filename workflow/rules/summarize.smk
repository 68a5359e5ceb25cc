# Token shards to summaries: sums of every neuron over all tokens, made while the model runs or of stored activations.
# Those of mlp_pre lie in the folder of model and corpus, those of any other site in a folder of its own within it.


def summarized_when(stored):
    """A pattern for the models of the summaries that are made of stored activations, or of the others.

    Which a summary is depends on its model, corpus, site and shard together; so it looks ahead to these.
    """
    of_models = {}
    for model, corpus, site in SPECS.summaries():
        site_is_stored = site in SPECS.sites(model, corpus)
        shards = [shard for shard in SHARDS if (site_is_stored and CONFIG.is_stored(int(shard))) == stored]
        if shards:
            ahead = rf"/{re.escape(corpus)}/{folder_of(site)}shard_(?:{'|'.join(shards)})\."
            of_models.setdefault(model, []).append(ahead)
    return "|".join(f"{re.escape(model)}(?={'|'.join(ways)})" for model, ways in of_models.items()) or "(?!)"


def corpus_of(wildcards):
    return wildcards.place.partition("/")[0]


def site_of(wildcards):
    return wildcards.place.partition("/")[2] or BY_DEFAULT


def stored_of(wildcards, ending):
    """The activation shards of a token shard, or their manifests."""
    parts = CONFIG.sampling.sequences_per_shard // CONFIG.sampling.stored_per_shard
    first = int(wildcards.shard) * parts
    shard = f"<results>/activations/{wildcards.model}/{corpus_of(wildcards)}/shard"
    return [f"{shard}_{number:04d}.{ending}" for number in range(first, first + parts)]


rule summarize:
    input:
        model=lambda w: SPECS.record("models", w.model),
        tokens=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{corpus_of(w)}/shard_{w.shard}.h5",
        types=lambda w: frequency_of(w.model, corpus_of(w)),
    output:
        "<results>/summaries/{model}/{place}/shard_{shard}.h5",
    log:
        "<logs>/summarize/{model}/{place}/shard_{shard}.log",
    benchmark:
        "<logs>/summarize/{model}/{place}/shard_{shard}.benchmark.tsv"
    wildcard_constraints:
        model=summarized_when(stored=False),
    threads: lambda w: NEEDS.threads(CONFIG.models[w.model].source)
    resources:
        **NEEDS.ask(lambda w, input, threads: NEEDS.summarize(model_size(input.model), site_of(w), threads)),
        gpu=1,
    params:
        spec=lambda w: SPECS.summarize(w.model, site_of(w)),
    message:
        "Summarize activations of {wildcards.model} on {wildcards.place}: shard {wildcards.shard}"
    script:
        "../scripts/summarize.py"


rule summarize_stored:
    input:
        activations=lambda w: ancient(stored_of(w, "h5")),
        # These decide whether the activations changed.
        manifests=lambda w: stored_of(w, "json"),
        tokens=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{corpus_of(w)}/shard_{w.shard}.h5",
        types=lambda w: frequency_of(w.model, corpus_of(w)),
    output:
        "<results>/summaries/{model}/{place}/shard_{shard}.h5",
    log:
        "<logs>/summarize_stored/{model}/{place}/shard_{shard}.log",
    benchmark:
        "<logs>/summarize_stored/{model}/{place}/shard_{shard}.benchmark.tsv"
    wildcard_constraints:
        model=summarized_when(stored=True),
    resources:
        **NEEDS.ask(
            lambda w, input, threads: NEEDS.summarize_stored(
                CONFIG.models[w.model].layers, stored_width(input.manifests[0])
            )
        ),
    params:
        spec=lambda w: SPECS.summarize_stored(w.model, site_of(w)),
    message:
        "Summarize stored activations of {wildcards.model} on {wildcards.place}: shard {wildcards.shard}"
    script:
        "../scripts/summarize_stored.py"
