"""How the activations inside a causal language model change with depth.

A study takes documents through a tokenizer and a model to stored activations, to one table per layer, and to figures,
claims and a report. Snakemake runs the jobs (``Snakefile``, ``workflow/``); all that they compute is here and runs
without it. The packages follow the workflow::

    config → preflight → fetch → tokenize → model, extract → studies (with stats) → report

``workflow`` stands between Snakemake and these, ``io`` below them all, and ``read`` beside them: :func:`open` gives
what a run wrote to those who analyse it. Start with
:mod:`layerscope.studies.study`, which says what a study is, and :mod:`layerscope.studies.path_length.study`, a short
one; then follow one job from its rule in ``workflow/rules`` to its script and to the module that this calls.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from layerscope.read.run import Run

__version__ = "0.1.0"


def open(results: "str | Path", corpus: str | None = None) -> "Run":
    """What a run wrote, to look at in a notebook or a script.

    Args:
        results: the folder of results, the config key ``results``.
        corpus: name of a corpus, where the folder has tokens of several.

    Raises:
        layerscope.io.errors.UserError: it is no folder of results, or no study has ended in it and nothing is
            kept (the config key ``activations``).
    """
    # By its name: every job imports this module, and what it imports is part of the fingerprint of every job.
    return import_module("layerscope.read.run").Run(results, corpus)
