"""Config files: they exist, are text, and are YAML or JSON. What they say is checked by layerscope.preflight."""

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
    """Check the default configuration, which every run reads, and those that override it.

    Raises:
        UserError: the folder is not a project's, or as :func:`check_config_file`.
    """
    if not DEFAULT.parent.is_dir() or not DEFAULT.exists():
        raise UserError(
            f"config: {DEFAULT} is not in {Path.cwd()}; run snakemake in the project's folder (a study of your own is "
            "a file for --configfile there, or a clone of the project)"
        )
    for file in (DEFAULT, *overlays):
        check_config_file(file)


def check_command_line() -> None:
    """Check the files with which the command line of this process overrides the default configuration.

    Ends the process with the line of :func:`check_config_file` for the first that cannot be used.
    """
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    options.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    try:
        files = options.parse_known_args()[0].configfile
    except argparse.ArgumentError:  # Snakemake says it
        return
    try:
        for number, file in enumerate(files):
            if number and Path(file).suffix not in (".yaml", ".yml", ".json"):
                raise UserError(
                    f"config: {file}: is taken for a config file, as all that follows --configfile; write a target "
                    f"before it: snakemake {file} --configfile {files[0]}"
                )
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
        found = "nothing" if holds is None else f"a {type(holds).__name__}"
        raise UserError(f"config: {file}: contains {found}, not keys such as models and studies at its top level")


def _yaml(file: str | Path, text: str) -> Any:
    """What a YAML file holds."""
    try:
        compose(file, text)
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


def compose(file: str | Path, text: str) -> yaml.Node | None:
    """The nodes of a YAML file.

    Raises:
        UserError: a value contains an alias of itself, so that it has no end.
        yaml.YAMLError: the text is not valid.
    """
    done: set[int] = set()

    def visit(node: yaml.Node, around: frozenset[int]) -> None:
        if id(node) in around:
            raise UserError(
                f"config: {file}: line {node.start_mark.line + 1}: contains an alias (*) of itself; write the value out"
            )
        if id(node) not in done and not isinstance(node, yaml.ScalarNode):
            pairs = node.value if isinstance(node, yaml.MappingNode) else [node.value]
            for part in (part for pair in pairs for part in pair):
                visit(part, around | {id(node)})
            done.add(id(node))

    root = yaml.compose(text, yaml.CSafeLoader)
    if root is not None:
        visit(root, frozenset())
    return root
