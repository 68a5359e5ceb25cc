# What the key `activations` keeps, whatever the studies read; and the table that lists it.


def models_and_corpora(entries):
    return list(dict.fromkeys((model, of.corpus) for of in entries for model in of.models))


STORED = models_and_corpora(of for of in CONFIG.kept() if of.sites)
KEPT = {
    "shards": [path for place in STORED for path in shards_of(*place, "h5")],
    "manifests": [path for place in STORED for path in shards_of(*place, "json")],
    "summaries": [
        f"<results>/{place_of(site).format(model=model, corpus=of.corpus, shard=shard)}"
        for of in CONFIG.kept()
        for model in of.models
        for site in of.summarized_sites
        for shard in range(CONFIG.sampling.shards)
    ],
    # Of the tokens, for those who read the activations.
    "vocabularies": [vocabulary_of(*place) for place in models_and_corpora(CONFIG.kept())],
}


rule list_activations:
    input:
        **KEPT | {"shards": ancient(KEPT["shards"])},
    output:
        ACTIVATIONS,
    log:
        "<logs>/list_activations.log",
    localrule: True
    params:
        spec=SPECS.list_activations(),
    message:
        "List the activations that are kept"
    script:
        "../scripts/list_activations.py"
