"""The frame of planning: whatever goes wrong becomes one line, and the traceback goes to a log."""

import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from layerscope.io.errors import UserError, place_of

LOG = Path("logs/planning.log")


class Planning:
    """A block in which every error is raised anew as ``kind``, with one line.

    A class, because Snakemake prints the lines of code that an error passed, and these are fewest so.
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
    place = place_of(error)
    line = f"config: unexpected {type(error).__name__}{f' at {place}' if place else ''}"
    text = " ".join(str(error).split())
    line += f": {text}" if text else ""
    with suppress(OSError):  # the line is worth more than the log
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
        line += f" (log: {LOG})"
    return str(UserError(line))
