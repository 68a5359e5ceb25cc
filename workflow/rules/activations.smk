# What the key `activations` keeps, whatever the studies read; and the table that lists it.


def kept(kind):
    """Model and corpus of the entries that store sites, or summarize some."""
    of_entries = {"stored": lambda of: of.sites, "summarized": lambda of: of.summarized_sites}[kind]
    places = [(model, of.corpus) for of in CONFIG.kept() if of_entries(of) for model in of.models]
    return list(dict.fromkeys(places))


def kept_summaries():
    return [
        f"<results>/{place_of(site).format(model=model, corpus=of.corpus, shard=shard)}"
        for of in CONFIG.kept()
        for model in of.models
        for site in of.summarized_sites
        for shard in range(CONFIG.sampling.shards)
    ]


KEPT = {
    "shards": [path for place in kept("stored") for path in shards_of(*place, "h5")],
    "manifests": [path for place in kept("stored") for path in shards_of(*place, "json")],
    "summaries": kept_summaries(),
    # Of the tokens, for those who read the activations.
    "vocabularies": [vocabulary_of(*place) for place in dict.fromkeys(kept("stored") + kept("summarized"))],
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
