"""Draws those figures of a job that are due.

A figure's files carry a digest of what it was made from: its spec and the content of the files that it reads. While all
carry the digest that they would get, it is kept as it is.
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
) -> None:
    """Draw the figures that are due; an error says in which.

    Args:
        specs: figure → its spec, from :meth:`layerscope.workflow.specs.Specs.figures`.
        inputs: pattern of a study's files → a path or a list of paths.
        outputs: figure → the paths to write.
    """
    content = cache(lambda path: digest_of_file(Path(path)))
    read = cache(lambda pattern: read_input(inputs[pattern]))  # several figures may read one table
    for name, spec in specs.items():
        with at(f"figure {name}"):
            patterns = spec["reads"].values()
            files = {pattern: [content(path) for path in _listed(inputs[pattern])] for pattern in patterns}
            digest = digest_of_record({"spec": spec, "files": files})
            if all(_carries(path, digest) for path in outputs[name]):
                logging.info("%s is kept as it is", name)
                continue
            tables = {argument: read(pattern) for argument, pattern in spec["reads"].items()}
            for argument, keys in spec["keyed"].items():
                tables[argument] = by_key(keys, tables[argument], "{layer}" in spec["reads"][argument])
            with made_from(digest):
                resolve_name(spec["function"])(list(outputs[name]), **tables, **spec["settings"])
            logging.info("%s is drawn", name)


def by_key(keys: list[str], values: list[Any], lists: bool) -> dict[str, Any]:
    """Values by their keys; ``lists`` of all that have one key, in their order."""
    if not lists:
        return dict(zip(keys, values, strict=True))
    found: dict[str, list[Any]] = {key: [] for key in keys}
    for key, value in zip(keys, values, strict=True):
        found[key].append(value)
    return found


def _listed(paths: Any) -> list[str]:
    return [paths] if isinstance(paths, str) else list(paths)


def _carries(path: str, digest: str) -> bool:
    """Whether a file was made from what the digest is of; PNG, PDF and SVG files have their metadata as plain text."""
    try:
        return digest.encode() in Path(path).read_bytes()
    except FileNotFoundError:
        return False
