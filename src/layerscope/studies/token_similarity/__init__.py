"""Study: how similar the dimensions of Q, K and V of one target token are over many sentences, layer by layer."""
