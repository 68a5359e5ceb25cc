"""Statistics that the studies share: correlation, jackknife over clusters, multiple testing, claims."""
