"""The frame of planning: whatever goes wrong there becomes one line, and the traceback goes to a log."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from layerscope.errors import UserError

LOG = Path("logs/planning.log")
_AT = "planning was at "


@contextmanager
def at(place: str | Path) -> Iterator[None]:
    """Say where planning is: a key of the config, or a file. An error carries the innermost place as a note."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{_AT}{place}")
        raise


class Planning:
    """A block in which every error is raised anew as ``kind``, with one line.

    A class, because Snakemake prints the lines of code that an error passed: so they are the fewest.
    """

    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not only Exception: libraries written in Rust raise a BaseException when they panic.
        if error is None or isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | self.kind):
            return
        raise self.kind(str(error) if isinstance(error, UserError) else _unforeseen(error)) from None


def _unforeseen(error: BaseException) -> str:
    """The line of an error that nothing expected; writes the log."""
    notes = [note.removeprefix(_AT) for note in getattr(error, "__notes__", []) if note.startswith(_AT)]
    line = f"config: unexpected {type(error).__name__}{f' at {notes[0]}' if notes else ''}"
    text = " ".join(str(error).split())
    line += f": {text}" if text else ""
    with suppress(OSError):  # the line is worth more than the log
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
        line += f" (log: {LOG})"
    return str(UserError(line))
