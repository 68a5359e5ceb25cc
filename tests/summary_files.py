"""Reading of summary shards, and the errors of damaged ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from layerscope.io.errors import UserError
from layerscope.summarize.summary_shards import LayerSummary, read_layer_summary


def read(path: Path, layer: int) -> LayerSummary:
    return read_layer_summary([str(path)], layer)


def refusal(read: Callable[[], object]) -> str:
    """The one line of a UserError."""
    with pytest.raises(UserError) as error:
        read()
    assert "\n" not in str(error.value)
    return str(error.value)
