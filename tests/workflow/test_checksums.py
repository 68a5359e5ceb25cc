"""Checksums of inputs that are taken once for each state of a file."""

import os
from pathlib import Path
from typing import Any

import pytest

from layerscope.workflow.checksums import take_checksums_once


@pytest.fixture
def counted() -> tuple[type, list[str]]:
    """A class of files like Snakemake's, and what it read."""
    read: list[str] = []

    class File(str):
        async def checksum(self, threshold: int | None = None, force: bool = False) -> str | None:
            if not Path(self).exists() or (threshold is not None and Path(self).stat().st_size > threshold):
                return None
            read.append(str(self))
            return f"sha256:{Path(self).read_text()}"

    take_checksums_once(File)
    return File, read


def checksum(file: Any, *arguments: Any, **options: Any) -> str | None:
    """Of a coroutine that never waits; a loop of events may be running here, that of the browser's tests."""
    try:
        file.checksum(*arguments, **options).send(None)
    except StopIteration as returned:
        return returned.value
    raise AssertionError("it waits")


def test_a_file_is_read_once(counted: tuple[type, list[str]], tmp_path: Path) -> None:
    file, read = counted
    path = tmp_path / "a"
    path.write_text("one")
    assert [checksum(file(path), 10) for _ in range(3)] == ["sha256:one"] * 3
    assert read == [str(path)]


@pytest.mark.parametrize("same_size", [False, True])
def test_a_file_that_changed_is_read_again(counted: tuple[type, list[str]], tmp_path: Path, same_size: bool) -> None:
    file, read = counted
    path = tmp_path / "a"
    path.write_text("one")
    checksum(file(path), 10)
    before = path.stat().st_mtime_ns
    path.write_text("two" if same_size else "three")
    os.utime(path, ns=(before, before + 1 if same_size else before))
    assert checksum(file(path), 10) == ("sha256:two" if same_size else "sha256:three")
    assert len(read) == 2


def test_a_file_in_place_of_another_is_read(counted: tuple[type, list[str]], tmp_path: Path) -> None:
    file, _ = counted
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("one")
    other.write_text("two")
    os.utime(other, ns=(0, 0))
    os.utime(path, ns=(0, 0))
    checksum(file(path), 10)
    other.rename(path)
    assert checksum(file(path), 10) == "sha256:two"


def test_what_is_asked_for_decides(counted: tuple[type, list[str]], tmp_path: Path) -> None:
    file, _ = counted
    path = tmp_path / "a"
    path.write_text("one")
    assert checksum(file(path), 1) is None
    assert checksum(file(path), 10) == "sha256:one"
    assert checksum(file(path), force=True) == "sha256:one"


def test_a_file_that_is_not_there_is_asked_for_again(counted: tuple[type, list[str]], tmp_path: Path) -> None:
    file, _ = counted
    path = tmp_path / "a"
    assert checksum(file(path), 10) is None
    path.write_text("one")
    assert checksum(file(path), 10) == "sha256:one"
