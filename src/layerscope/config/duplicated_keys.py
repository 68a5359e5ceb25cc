"""What the readers of YAML pass over in silence: keys that are duplicated, and values that contain themselves."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from layerscope.io.errors import UserError


def duplicated_keys(file: str | Path) -> Iterator[str]:
    """A line for each key of a config file that is duplicated in its section, of which YAML takes the last.

    Raises:
        UserError: a value contains itself, by an alias.
    """
    if Path(file).is_file():  # a pipe, such as the shell's <(...), can be read once, and Snakemake has read it
        yield from _duplicated(file, yaml.compose(Path(file).read_text(encoding="utf-8"), yaml.CSafeLoader))


def _duplicated(
    file: str | Path, node: yaml.Node | None, place: tuple[str, ...] = (), around: tuple[yaml.Node, ...] = ()
) -> Iterator[str]:
    """The lines of a node: ``place`` are the keys that lead to it, ``around`` the nodes that hold it."""
    if any(node is outer for outer in around):
        raise UserError(f"config: {'.'.join(place)}: contains itself, by an alias in {file}; write its value out")
    keys = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        inner = (*place, str(key.value))
        if inner in keys:
            line = key.start_mark.line + 1
            yield f"config: {'.'.join(inner)}: stands twice, again in line {line} of {file}; keep one"
        keys.add(inner)
        yield from _duplicated(file, value, inner, (*around, node))
    for value in node.value if isinstance(node, yaml.SequenceNode) else ():
        yield from _duplicated(file, value, place, (*around, node))
