"""Whether shards have room on the disk, before hours go into computing them."""

import logging
import shutil
from pathlib import Path

from layerscope.io.errors import UserError


def check_space(output: Path, shards: int, size: int, what: str, remedy: str | None) -> None:
    """Check what the shards that are still missing will take against the free space of their folder.

    At the start of each job that writes one, and not before any job: only then is the configuration of a model on the
    hub there, and the space is that of the machine that writes.

    Args:
        output: the shard that is about to be written.
        shards: how many the sample has.
        size: bytes of one.
        what: what they are called.
        remedy: what makes them smaller or fewer; None for shards that may turn out smaller than ``size``: they may try.

    Raises:
        UserError: they have no room.
    """
    folder = output.parent
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"shard_{shard:04d}{output.suffix}" for shard in range(shards)}
    missing = len(names - {path.name for path in folder.iterdir()} | {output.name})
    # What jobs beside this one have written of theirs is no longer free.
    begun = sum(map(_size, folder.glob(f".*.partial{output.suffix}")))
    needed, free = missing * size - begun, shutil.disk_usage(folder).free
    logging.info("%d shards of %s to be written in %s, %s free", missing, _shown(size), folder, _shown(free))
    if needed > free and remedy is not None:
        raise UserError(
            f"{folder}: {missing} {what} need {_shown(needed)}, and {_shown(free)} are free there; free some, {remedy}"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # renamed meanwhile
        return 0


def _shown(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
