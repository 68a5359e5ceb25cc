# Token shards to summaries: sums of every neuron over all tokens, made while the model runs or of stored activations.


def runs_model(w):
    """Whether the model has to run, since not all of a token shard is stored."""
    return not SPECS.is_stored(int(w.shard))


def read_for_summary(w):
    tokens = f"<results>/tokens/{tokenizer_of(w.model)}/{w.corpus}"
    read = {"tokens": f"{tokens}/shard_{w.shard}.h5", "types": f"{tokens}/frequency.parquet"}
    if runs_model(w):
        return {**read, "model": SPECS.record("models", w.model)}
    parts = CONFIG.sampling.sequences_per_shard // CONFIG.sampling.stored_per_shard
    shard = f"<results>/activations/{w.model}/{w.corpus}/shard"
    stored = [f"{shard}_{number:04d}" for number in range(int(w.shard) * parts, (int(w.shard) + 1) * parts)]
    return {
        **read,
        "activations": ancient([f"{path}.h5" for path in stored]),
        "manifests": [f"{path}.json" for path in stored],
    }


rule summarize:
    input:
        unpack(read_for_summary),
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
        spec=lambda w: SPECS.summarize(w.model, int(w.shard)),
    message:
        "Summarize activations of {wildcards.model} on {wildcards.corpus}: shard {wildcards.shard}"
    script:
        "../scripts/summarize.py"
