"""Files of the configuration: there, text, and YAML or JSON. What they say is checked by layerscope.preflight."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from layerscope.io.errors import UserError

DEFAULT = Path("config/config.yaml")


def check_config_files(overlays: Iterable[str | Path] = ()) -> None:
    """Check the default configuration, which every run reads, and what is laid over it.

    Raises:
        UserError: the folder is not a project's; a file is not what :func:`check_config_file` asks for.
    """
    if not DEFAULT.parent.is_dir() or not DEFAULT.exists():
        raise UserError(
            f"config: {DEFAULT} is not in {Path.cwd()}; run snakemake in the folder of the project (a study of its "
            "own is a file for --configfile there, or a clone of the project)"
        )
    for file in (DEFAULT, *overlays):
        check_config_file(file)


def check_command_line() -> None:
    """Check the files that the command line of this process lays over the default configuration.

    Ends the process with one line where one is not what :func:`check_config_file` asks for.
    """
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    options.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    try:
        files = options.parse_known_args()[0].configfile
    except argparse.ArgumentError:  # Snakemake says it
        return
    try:
        for file in files:
            check_config_file(file)
    except UserError as error:
        sys.exit(str(error))


def check_config_file(file: str | Path) -> None:
    """Read a file as Snakemake does.

    Raises:
        UserError: it cannot be read, is not JSON or YAML, or has no keys; one line with file, line and column.
    """
    path = Path(file)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"config: {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"config: {file}: line {line}: is not UTF-8 ({error.reason}); save it as UTF-8") from None
    try:
        holds = json.loads(text)
    except (ValueError, RecursionError):  # Snakemake, too, tries YAML then, whatever the file's name
        holds = _yaml(file, text)
    if not isinstance(holds, dict):
        found = "nothing" if holds is None else type(holds).__name__
        raise UserError(f"config: {file}: holds {found}, not keys such as models and studies at its top level")


def _yaml(file: str | Path, text: str) -> Any:
    """What a YAML file holds."""
    try:
        _check_aliases(file, yaml.compose(text, yaml.CSafeLoader))
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        raise _not_valid(file, _place(error.problem_mark), _reason(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        raise _not_valid(file, f"line {line}: ", f"character {error.character:#x} is not allowed") from None
    except (ValueError, RecursionError) as error:  # a date that does not exist; brackets without end
        raise _not_valid(file, "", error) from None


def _not_valid(file: str | Path, place: str, reason: Any) -> UserError:
    return UserError(f"config: {file}: {place}not valid YAML: {' '.join(str(reason).split())}")


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _reason(error: yaml.MarkedYAMLError) -> str:
    """What is wrong and, where something was left open, where that began."""
    reason = error.problem or error.context or "cannot be read"
    begin = error.context_mark
    if begin is None or error.problem_mark is None or begin.line == error.problem_mark.line:
        return reason
    return f"{reason} ({error.context}, which began in line {begin.line + 1})"


def _check_aliases(file: str | Path, root: yaml.Node | None) -> None:
    """Raise UserError for an alias within what it stands for, which would have no end."""
    done: set[int] = set()

    def visit(node: yaml.Node, within: frozenset[int]) -> None:
        if id(node) in within:
            raise UserError(
                f"config: {file}: line {node.start_mark.line + 1}: has an alias (*) of itself within; write it out"
            )
        if id(node) not in done:
            for part in _parts(node):
                visit(part, within | {id(node)})
            done.add(id(node))

    if root is not None:
        visit(root, frozenset())


def _parts(node: yaml.Node) -> list[yaml.Node]:
    match node:
        case yaml.MappingNode():
            return [part for pair in node.value for part in pair]
        case yaml.SequenceNode():
            return list(node.value)
    return []
