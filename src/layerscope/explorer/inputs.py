"""Which tables of a layer the explorer reads; the Snakefile asks, so this is quick to import."""

from layerscope.read import NEURON_TABLES

NUMBERS = 4000  # of each neuron in its tables
# What the names of the tables begin with: those of the statistics of neurons, and all.
STATISTICS = (*NEURON_TABLES, "weights")
TABLES = (*STATISTICS, "contexts", "neuron_histogram", "by_length", "token_types", "logits")
