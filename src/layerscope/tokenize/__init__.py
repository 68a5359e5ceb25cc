"""Documents to token shards: fixed-length sequences of token ids, and a table of the vocabulary."""
