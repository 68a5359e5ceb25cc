"""Draws those figures of a job that are due.

A figure's files carry a digest of what it was made from: its spec, the content of the files that it reads, and the
wildcards of the job. While both carry the digest that they would get, it is kept as it is.
"""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from layerscope.io.errors import at
from layerscope.io.files import digest_of_file, digest_of_record
from layerscope.plotting import made_from
from layerscope.workflow.inputs import read_input


def draw_due_figures(
    specs: Mapping[str, dict[str, Any]],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, list[str]],
    wildcards: Mapping[str, str],
) -> None:
    """Draw the figures that are due; an error says in which.

    Args:
        specs: figure → its spec, from :meth:`layerscope.workflow.specs.Specs.figures`.
        inputs: pattern of a study's files → a path or a list of paths.
        outputs: figure → the paths to write.
        wildcards: further arguments of the functions that draw.
    """
    content = cache(lambda path: digest_of_file(Path(path)))
    read = cache(lambda pattern: read_input(inputs[pattern]))  # several figures may read one table
    for name, spec in specs.items():
        with at(f"figure {name}"):
            patterns = spec["reads"].values()
            files = {pattern: [content(path) for path in _listed(inputs[pattern])] for pattern in patterns}
            digest = digest_of_record({"spec": spec, "files": files, **wildcards})
            if all(_carries(path, digest) for path in outputs[name]):
                logging.info("%s is kept as it is", name)
                continue
            tables = {argument: read(pattern) for argument, pattern in spec["reads"].items()}
            for argument, keys in spec["keyed"].items():
                tables[argument] = dict(zip(keys, tables[argument], strict=True))
            with made_from(digest):
                resolve_name(spec["function"])(list(outputs[name]), **wildcards, **tables, **spec["settings"])
            logging.info("%s is drawn", name)


def _listed(paths: Any) -> list[str]:
    return [paths] if isinstance(paths, str) else list(paths)


def _carries(path: str, digest: str) -> bool:
    """Whether a file was made from what the digest is of; PNG and PDF files have their metadata as plain text."""
    try:
        return digest.encode() in Path(path).read_bytes()
    except FileNotFoundError:
        return False
