"""The one kind of error that is meant for the user."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerscope.io.redact import redacted


class UserError(Exception):
    """Something the user can put right, one line per mistake: the thing, what is wrong, what would be right.

    Characters that would break a line or not show, such as control characters in a name, are escaped; passwords and
    tokens are hidden.
    """

    def __init__(self, *lines: str) -> None:
        shown = ("".join(c if c.isprintable() else repr(c)[1:-1] for c in redacted(line)) for line in lines)
        super().__init__("\n".join(shown))


def damaged(path: str | Path, what: str) -> UserError:
    """The error for a file that is not what was written, with the command that repairs it."""
    return UserError(f"{path}: {what}; delete it and run again (rm {shlex.quote(str(path))})")


def memory_ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out.

    PyTorch raises a RuntimeError for main memory and an OutOfMemoryError for a GPU's; safetensors and h5py pass on the
    system's message.
    """
    said = "can't allocate memory|cannot allocate memory|out of memory|unable to allocate"
    return isinstance(error, MemoryError) or re.search(said, str(error), re.IGNORECASE) is not None


@contextmanager
def reading(path: str | Path, part: str = "") -> Iterator[None]:
    """Turn what readers of HDF5, Parquet and JSON raise for a damaged file, or a part of it, into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # h5py alone raises half a dozen kinds
        if memory_ran_out(error):
            raise
        reason = f"damaged ({type(error).__name__}: {' '.join(str(error).split())})"
        raise damaged(path, f"{part} is {reason}" if part else reason) from error


_AT = "this was at "


@contextmanager
def at(place: str | Path) -> Iterator[None]:
    """Say where the work is: at a key of the config, a file or a figure. Errors carry the innermost as a note."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{_AT}{place}")
        raise


def place_of(error: BaseException) -> str | None:
    """Where the work was when an error was raised, if that was said."""
    notes = (note.removeprefix(_AT) for note in getattr(error, "__notes__", []) if note.startswith(_AT))
    return next(notes, None)
