"""docs/file-formats.md lists what the files of a finished study hold: no column, dataset or attribute more or less."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import h5py
import pandas as pd
import pytest
from explorer_data import read_script

PAGE = Path(__file__).parents[2] / "docs/file-formats.md"
CSV_TYPES = {"int64": "integer", "float64": "number", "str": "text", "bool": "bool"}
PANDAS_TYPES = {"str": "text"}
ATTRIBUTE_TYPES = {"int64": "integer", "bool": "bool"}  # all others are texts
KINDS = ("column", "dataset", "attribute", "key", "array", "fact")


def tables() -> Iterator[tuple[str, str, dict[str, str]]]:
    """A file's pattern, the kind of a table below its heading, and the table: name → type."""
    for part in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        for kind in KINDS:
            if rows := re.search(rf"^\| {kind} \|.*\n\|.*\n((?:\|.*\n)+)", body, re.MULTILINE):
                place = 2 if kind in ("dataset", "array") else 1
                found: dict[str, str] = {}
                for row in rows[1].splitlines():
                    cells = [cell.strip() for cell in row.strip("|").split("|")]
                    names = re.findall(r"`([^`]+)`", cells[0])
                    assert not set(names) & set(found), f"{heading}: a name is duplicated: {cells[0]}"
                    found |= dict.fromkeys(names, cells[place])
                for pattern in re.findall(r"`([^`]+)`", heading):
                    yield pattern, kind, found


TABLES = list(tables())
PATTERNS = list(dict.fromkeys(pattern for pattern, _, _ in TABLES))


def glob_of(pattern: str) -> str:
    return re.sub(r"\{\w+\}", "*", pattern)


def regex_of(pattern: str) -> str:
    """As a pattern names files and columns: numbers are digits, names have no slash."""
    numbers = r"\d+" if "{run}" in pattern or "{rotation}" in pattern else r"[^/]+"
    return re.sub(
        r"\\\{(layer|shard)\\\}", r"\\d+", re.sub(r"\\\{(?!layer|shard)\w+\\\}", lambda _: numbers, re.escape(pattern))
    )


def files_of(results: Path, pattern: str) -> list[Path]:
    return [
        path
        for path in sorted(results.glob(glob_of(pattern)))
        if re.fullmatch(regex_of(pattern), str(path.relative_to(results)))
    ]


def contents(path: Path, kind: str) -> dict[str, str | None]:
    """Name → type of the columns, datasets, root attributes or keys of a file; no type where there is no value."""
    if path.suffix == ".json":
        return dict.fromkeys(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            if kind == "attribute":
                types = {name: type(value).__name__ for name, value in file.attrs.items()}
                return {name: ATTRIBUTE_TYPES.get(kind, "text") for name, kind in types.items()}
            found: dict[str, str | None] = {}

            def visit(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    found[name] = str(item.dtype)

            file.visititems(visit)
            return found
    if path.suffix == ".js":
        _, facts, arrays = read_script(path)
        return dict.fromkeys(facts) if kind == "fact" else {name: str(values.dtype) for name, values in arrays.items()}
    csv = path.suffix == ".csv"
    table = pd.read_csv(path) if csv else pd.read_parquet(path)
    types = {name: str(column.dtype) for name, column in table.items()}
    empty = {name for name, column in table.items() if csv and column.isna().all()}
    return {
        name: None if name in empty else (CSV_TYPES[kind] if csv else PANDAS_TYPES.get(kind, kind))
        for name, kind in types.items()
    }


@pytest.mark.parametrize(
    ("pattern", "kind", "declared"), TABLES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_declared_is_there_and_nothing_else(
    finished: Path, pattern: str, kind: str, declared: dict[str, str]
) -> None:
    paths = files_of(finished / "results", pattern)
    assert paths, f"no file {pattern}"
    met = set()
    for path in {path.parent: path for path in paths}.values():  # one of each folder
        for name, kind_of_value in contents(path, kind).items():
            (known,) = [known for known in declared if re.fullmatch(regex_of(known), name)] or [None]
            assert known, f"{path}: say what {name} is"
            met.add(known)
            if kind_of_value is not None and path.suffix != ".json":
                assert kind_of_value in declared[known].split(" or "), f"{path}: {name} is {kind_of_value}"
    assert set(declared) == met, "declared, but in no file"


def test_every_file_is_declared(finished: Path) -> None:
    """But for figures and the report, hidden files, and logs."""
    results = finished / "results"
    for path in sorted(path for path in results.rglob("*") if path.is_file()):
        name = str(path.relative_to(results))
        shown = (
            path.suffix in (".png", ".pdf", ".svg", ".html") or path.name.startswith(".") or name.startswith("logs/")
        )
        declared = any(re.fullmatch(regex_of(pattern), name) for pattern in PATTERNS)
        assert shown or declared, f"docs/file-formats.md: say what {name} is"


def test_patterns_and_names_are_told_apart() -> None:
    assert re.fullmatch(regex_of("r_without_{run}"), "r_without_03")
    assert not re.fullmatch(regex_of("r_without_{run}"), "r_without_all")
    assert not re.fullmatch(regex_of("token_length/{model}/layer_{layer}.parquet"), "token_length/a/layer_x.parquet")
