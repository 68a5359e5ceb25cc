"""Token shards to activation shards: one forward pass, every requested site of every layer, straight to HDF5."""
