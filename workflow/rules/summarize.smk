# Token shards to summaries: sums of every neuron over all tokens, made while the model runs or of stored activations.


def stored_of(w):
    """The activation shards of a token shard all of which is stored, and their manifests; else the model."""
    if not SPECS.summarize(w.model, w.corpus, int(w.shard))["stored"]:
        return {"model": SPECS.record("models", w.model)}
    parts = CONFIG.sampling.sequences_per_shard // CONFIG.sampling.stored_per_shard
    stored = range(int(w.shard) * parts, (int(w.shard) + 1) * parts)
    shard = f"<results>/activations/{w.model}/{w.corpus}/shard"
    return {
        "activations": ancient([f"{shard}_{number:04d}.h5" for number in stored]),
        "manifests": [f"{shard}_{number:04d}.json" for number in stored],
    }


def runs_model(w):
    return not SPECS.summarize(w.model, w.corpus, int(w.shard))["stored"]


rule summarize:
    input:
        unpack(stored_of),
        tokens=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{w.corpus}/shard_{w.shard}.h5",
        types=lambda w: f"<results>/tokens/{tokenizer_of(w.model)}/{w.corpus}/frequency.parquet",
    output:
        "<results>/summaries/{model}/{corpus}/shard_{shard}.h5",
    log:
        "<logs>/summarize/{model}/{corpus}/shard_{shard}.log",
    benchmark:
        "<logs>/summarize/{model}/{corpus}/shard_{shard}.benchmark.tsv"
    threads: lambda w: 8 if runs_model(w) else 1
    resources:
        gpu=lambda w: int(runs_model(w)),
    params:
        spec=lambda w: SPECS.summarize(w.model, w.corpus, int(w.shard)),
    message:
        "Summarize activations of {wildcards.model} on {wildcards.corpus}: shard {wildcards.shard}"
    script:
        "../scripts/summarize.py"
