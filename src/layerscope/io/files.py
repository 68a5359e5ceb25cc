"""Files that are whole or absent, and digests of their content."""

import glob
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import xxhash

from layerscope.io.errors import UserError, damaged, reading


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

    Makes the folder, and removes what killed jobs left of the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.stem)}.{'[0-9a-f]' * 8}.partial{glob.escape(path.suffix)}"):
        left.unlink(missing_ok=True)
    # Random, as a process id is not unique across the nodes of a cluster. The suffix stays last: pandas and matplotlib
    # choose the format by it.
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sealed_file(path: str | Path) -> Iterator[Path]:
    """As :func:`whole_file`, for formats with no place for a digest: it goes to a hidden file beside it, the seal.

    The seal is written first, so that a file that exists has its own. If a job is killed between the two, an old file
    keeps the new seal and is refused; but Snakemake removes the files of a job before it starts.
    """
    with whole_file(path) as temporary:
        yield temporary
        with whole_file(seal_of(path)) as seal:
            seal.write_text(digest_of_file(temporary) + "\n")


def seal_of(path: str | Path) -> Path:
    """The path of the seal of a file."""
    return Path(path).with_name(f".{Path(path).name}.xxh3")


def check_seal(path: str | Path) -> None:
    """Check a file of :func:`sealed_file` against its seal.

    Raises:
        UserError: the file is not what was written, or one of the two is missing.
    """
    with reading(path):
        sealed, found = seal_of(path).read_text().strip(), digest_of_file(Path(path))
    if found != sealed:
        raise damaged(path, "differs from what was written")


def write_json(path: str | Path, record: dict[str, Any]) -> None:
    """Write a record, and a digest of it as its last key."""
    with whole_file(path) as temporary:
        text = json.dumps({**record, "digest": digest_of_record(record)}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict[str, Any]:
    """What :func:`write_json` wrote.

    Raises:
        UserError: the file is damaged, or not what was written.
    """
    with reading(path):
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        written = record.pop("digest", None)
    if written != digest_of_record(record):
        raise damaged(path, "differs from what was written")
    return record


def digest_of_record(record: dict[str, Any]) -> str:
    """Digest of keys and values, in any order; numbers may be numpy's."""
    return digest_of([json.dumps(record, sort_keys=True, default=lambda number: number.item()).encode()])


def digest_of(chunks: Iterable[bytes | memoryview]) -> str:
    """XXH3-128 of the concatenated bytes of the chunks, in hexadecimal. It finds accidents, not attacks."""
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
            self.known: dict[str, str] = read_json(store)
        except UserError:
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
