"""What the page knows of a run before it reads any data file."""

from typing import Any, TypedDict

from layerscope import __version__
from layerscope.explorer.columns import columns_of, described
from layerscope.explorer.corpus_text import chunk_tokens
from layerscope.explorer.layer_file import NEURONS_PER_FILE
from layerscope.io.records import Weights
from layerscope.summarize.neuron_sums import AFTER, BEFORE


class ExplorerModel(TypedDict):
    """A model in the explorer."""

    tokenizer: str
    weights: Weights
    matched: str | None  # the model that its neurons are matched with


class ExplorerSpec(TypedDict):
    """What the page depends on."""

    corpus: str
    sequence_length: int
    models: dict[str, ExplorerModel]


def manifest(spec: ExplorerSpec, neurons: dict[str, list[int]], types: dict[str, int]) -> dict[str, Any]:
    """The manifest of the explorer.

    Args:
        neurons: model → number of neurons of each layer.
        types: tokenizer → number of token types.
    """
    models = [
        {
            "name": name,
            **model,
            "neurons": neurons[name],
            "layers": len(neurons[name]),
            "columns": columns_of(model["matched"] is not None),
        }
        for name, model in spec["models"].items()
    ]
    return {
        "corpus": spec["corpus"],
        "sequence_length": spec["sequence_length"],
        "chunk_tokens": chunk_tokens(spec["sequence_length"]),
        "neurons_per_file": NEURONS_PER_FILE,
        "context": {"before": BEFORE, "after": AFTER},
        "models": models,
        "columns": described(),
        "tokenizers": {name: {"types": count} for name, count in types.items()},
        "layerscope_version": __version__,
    }
