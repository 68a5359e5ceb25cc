"""The one kind of error that is meant for the person who runs the workflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Something the user can put right; its text is one line: the thing, what is wrong, what would be right."""


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what h5py raises of a damaged file into one line that names it and its repair."""
    try:
        yield
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run again") from error
