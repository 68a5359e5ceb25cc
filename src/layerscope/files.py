"""Files that are whole or absent, and digests of what they hold."""

import glob
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from layerscope.errors import damaged, reading


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name in the folder of ``path``; rename it to ``path`` when the block succeeds.

    The file is synced to disk before the rename, so a name that exists is whole even after a power cut.
    When the block fails, the temporary file is removed and ``path`` is left as it was.
    """
    path = Path(path)
    temporary = partial_file(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def partial_file(path: Path) -> Path:
    """A new name in the folder of ``path``, to write under until the file is whole.

    Makes the folder, and removes what killed jobs left behind of the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.stem)}.{'[0-9a-f]' * 8}.partial{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)
    # Not the process's number, which is not unique over the nodes of a cluster. The suffix stays last: pandas and
    # matplotlib choose the format by it.
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str | Path, record: dict[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict[str, Any]:
    """What :func:`write_json` wrote.

    Raises:
        UserError: the file is damaged.
    """
    with reading(path):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def check_format(path: str | Path, found: Any, expected: str) -> None:
    """Hold the format that a file names against the one that is read.

    Raises:
        UserError: it is another.
    """
    if found != expected:
        raise damaged(path, f"format {found!r} is not {expected!r}")


def set_attributes(file: Any, attributes: dict[str, Any]) -> None:
    """Give an HDF5 file its root attributes and a digest of them; HDF5 has no checksums for these."""
    file.attrs.update({**attributes, "attributes_digest": _digest_of_attributes(attributes)})


def get_attributes(file: Any, path: str | Path, file_format: str, place: str) -> dict[str, Any]:
    """The root attributes of an HDF5 file, held against their digest and against the file's format and name.

    A file that was taken elsewhere has no name to be held against.

    Args:
        place: the end of the path, with names of attributes in braces.

    Raises:
        UserError: they are not those that were written, or by them the file belongs under another name.
    """
    attributes = dict(file.attrs)
    check_format(path, attributes.get("format"), file_format)
    if attributes.pop("attributes_digest", None) != _digest_of_attributes(attributes):
        raise damaged(path, "its attributes differ from those that were written")
    if Path(path).match(re.sub(r"{.*?}", "*", place)):
        named = Path(place.format(**attributes)).parts
        if Path(path).parts[-len(named) :] != named:
            raise damaged(path, f"holds what belongs into {Path(*named)}")
    return attributes


def _digest_of_attributes(attributes: dict[str, Any]) -> str:
    return digest_of([json.dumps(attributes, sort_keys=True, default=lambda number: number.item()).encode()])


def digest_of(chunks: Iterable[bytes]) -> str:
    """XXH3-128 of the chunks one after the other, in hexadecimal. Finds accidents, not attackers."""
    state = xxhash.xxh3_128()
    for chunk in chunks:
        state.update(chunk)
    return state.hexdigest()


def digest_of_file(path: Path) -> str:
    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                yield chunk

    return digest_of(chunks())


class DigestCache:
    """Digests of files, remembered by size and modification time, so that planning stays instant."""

    def __init__(self, store: Path) -> None:
        self.store = store
        try:
            self.known: dict[str, str] = dict(json.loads(store.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self.known = {}

    def digest(self, paths: Iterable[Path], compute: Callable[[Path], str] = digest_of_file) -> str:
        """One digest over the names and contents of ``paths``."""
        parts, fresh = [], False
        for path in sorted(paths):
            status = path.stat()
            key = f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
            if key not in self.known:
                self.known[key] = compute(path)
                fresh = True
            parts.append(f"{path.name}:{self.known[key]}".encode())
        if fresh:
            with suppress(OSError):  # a cache that cannot be written only costs time
                write_json(self.store, self.known)
        return digest_of(parts)
