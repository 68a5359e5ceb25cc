"""Checksums of inputs, taken once per file and not once per output."""

from pathlib import Path
from typing import Any


def take_checksums_once(file_class: Any) -> None:
    """Let Snakemake keep the checksum of a file for as long as its date, size and inode are the same.

    When a job is done, it (9.27) reads all of its inputs once for each of its outputs, and starts no other job
    meanwhile.

    Args:
        file_class: Snakemake's class of files.
    """
    checksum = file_class.checksum
    taken: dict[tuple[Any, ...], str | None] = {}

    async def once(file: Any, *arguments: Any, **options: Any) -> str | None:
        try:
            found = Path(file).stat()
        except OSError:
            result: str | None = await checksum(file, *arguments, **options)
            return result
        state = found.st_mtime_ns, found.st_size, found.st_ino
        key = (str(file), state, arguments, tuple(sorted(options.items())))
        if key not in taken:
            taken[key] = await checksum(file, *arguments, **options)
        return taken[key]

    file_class.checksum = once
