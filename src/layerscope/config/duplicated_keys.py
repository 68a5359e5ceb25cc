"""Keys that are duplicated in a config file, which the readers of YAML pass over in silence."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from layerscope.config.files import compose


def duplicated_keys(file: str | Path) -> Iterator[str]:
    """A line for each key of a config file that is duplicated in its section; YAML takes the last one.

    Raises:
        UserError: a value contains an alias of itself.
    """
    if Path(file).is_file():  # a pipe, such as the shell's <(...), can be read once, and Snakemake has read it
        yield from _duplicated(file, compose(file, Path(file).read_text(encoding="utf-8")))


def _duplicated(file: str | Path, node: yaml.Node | None, place: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of a node; ``place`` are the keys that lead to it."""
    keys = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        inner = (*place, str(key.value))
        if inner in keys:
            yield f"config: {'.'.join(inner)}: is duplicated in line {key.start_mark.line + 1} of {file}; keep one"
        keys.add(inner)
        yield from _duplicated(file, value, inner)
    for value in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _duplicated(file, value, place)
