"""The explorer: a page that shows every neuron, from files on disk alone."""
