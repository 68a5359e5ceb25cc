"""Folders in the place of a file of the results, which Snakemake would take for the file."""

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from layerscope.io.errors import UserError

MOST = 5  # lines


class Rule(Protocol):
    """A rule of Snakemake."""

    def products(self) -> Iterable[Any]:
        """The files that the rule writes: patterns that match paths."""


def check_no_folders(rules: Iterable[Rule], results: str) -> None:
    """Look for folders where one of ``rules`` would write a file.

    Only folders are compared, so that tens of thousands of files take no time.

    Raises:
        UserError: one line per folder, with the command that removes it.
    """
    products = [pattern for rule in rules for pattern in rule.products()]
    patterns = [pattern for pattern in products if not pattern.is_directory]
    found = [folder for folder in _folders(results) if any(pattern.match(folder) for pattern in patterns)]
    if found:
        lines = [
            f"{folder}: a folder where a file should be; move it away, or delete it and run again "
            f"(rm -r {shlex.quote(folder)})"
            for folder in sorted(found)
        ]
        more = [f"and {len(lines) - MOST} more such folders"] if len(lines) > MOST else []
        raise UserError(*lines[:MOST], *more)


def _folders(top: str) -> Iterator[str]:
    """Folders below ``top``, linked ones too."""
    seen = set()
    for parent, folders, _ in os.walk(top, followlinks=True):
        place = os.path.realpath(parent)
        if place in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(place)
        yield from (str(Path(parent, folder)) for folder in folders)
