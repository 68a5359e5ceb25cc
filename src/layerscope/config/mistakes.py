"""Mistakes of the user, collected so that all that can be known is said at once."""

from types import TracebackType
from typing import Any

from layerscope.io.errors import UserError


class Unknown(AttributeError):
    """A key of the config that is wrong itself, and was reported: what builds on it cannot be checked."""


class UnknownTable(dict[str, Any]):
    """A table of the config that is wrong itself: any name may be in it."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        raise Unknown(name)


class Mistakes:
    """Lines, each once. ``with mistakes:`` notes what a check finds, and goes on after it."""

    def __init__(self) -> None:
        self.lines: dict[str, None] = {}

    def add(self, *lines: str) -> None:
        self.lines.update(dict.fromkeys(lines))

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, UserError):
            self.add(*str(error).split("\n"))
        return isinstance(error, UserError | Unknown)

    def raise_all(self) -> None:
        """Raise UserError with all lines, if there are any."""
        if self.lines:
            raise UserError(*self.lines)
