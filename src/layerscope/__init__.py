"""How the activations inside a causal language model change with depth.

A study takes documents through a tokenizer and a model to stored activations, to one table per layer, and to figures,
claims and a report. Snakemake runs the jobs (``Snakefile``, ``workflow/``); all that they compute is here and runs
without it. The packages follow the workflow::

    config → preflight → fetch → tokenize → model, extract → studies (with stats) → report

``workflow`` stands between Snakemake and these, ``io`` below them all. Start with
:mod:`layerscope.studies.study`, which says what a study is, and :mod:`layerscope.studies.path_length.study`, a short
one; then follow one job from its rule in ``workflow/rules`` to its script and to the module that this calls.
"""

__version__ = "0.1.0"
