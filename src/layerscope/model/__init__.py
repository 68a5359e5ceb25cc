"""Models: where the sites of an architecture are, loading, forward passes with hooks, and checks of what hooks give."""
