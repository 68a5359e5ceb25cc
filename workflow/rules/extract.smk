# Token shards to activation shards: one forward pass per shard, all requested sites of all layers.


rule extract:
    input:
        model=lambda w: SPECS.record("models", w.model),
        tokens=lambda w: (
            f"<results>/tokens/{tokenizer_of(w.model)}/{w.corpus}/"
            f"shard_{CONFIG.sampling.token_shard(int(w.shard)):04d}.h5"
        ),
    output:
        shard="<results>/activations/{model}/{corpus}/shard_{shard}.h5",
        manifest="<results>/activations/{model}/{corpus}/shard_{shard}.json",
    log:
        "<logs>/extract/{model}/{corpus}/shard_{shard}.log",
    benchmark:
        "<logs>/extract/{model}/{corpus}/shard_{shard}.benchmark.tsv"
    threads: lambda w: NEEDS.threads(CONFIG.models[w.model].source)
    resources:
        **NEEDS.ask(
            lambda w, input, threads: NEEDS.extract(model_size(input.model), SPECS.sites(w.model, w.corpus), threads)
        ),
        gpu=1,
    params:
        spec=lambda w: SPECS.extract(w.model, w.corpus),
    message:
        "Extract activations of {wildcards.model} on {wildcards.corpus}: shard {wildcards.shard}"
    script:
        "../scripts/extract.py"
