"""Find the sources of a study: models, tokenizers, corpora. The only stage that may touch the network.

Each source gets a small record (JSON) of what was found; later jobs read the record, not the hub.
"""
