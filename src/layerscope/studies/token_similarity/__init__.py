"""Study: Q, K and V of one target token in many sentences, and how similar their dimensions are, layer by layer."""
