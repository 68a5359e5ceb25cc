"""Arguments of those who read results: what is allowed, or one line that says it."""

import operator
from collections.abc import Sequence
from typing import Any

from layerscope.io.errors import UserError


def chosen(argument: str, value: Any, allowed: Sequence[str], of: str) -> str:
    """A name out of those that are ``allowed``.

    Args:
        argument: what it is called.
        of: what has these names.

    Raises:
        UserError: it is another.
    """
    if value not in allowed:
        raise UserError(f"{argument}: {of} has no {argument} {value!r}; it has {', '.join(allowed) or 'none'}")
    return str(value)


def number(argument: str, value: Any, count: int, of: str) -> int:
    """A number from 0 to below ``count``; numpy's will do.

    Raises:
        UserError: it is another, or no whole number.
    """
    try:
        found = operator.index(value)
    except TypeError:
        found = -1
    if not 0 <= found < count:
        raise UserError(f"{argument}: {of} has no {argument} {value!r}; it has 0 to {count - 1}")
    return found


def numbers(argument: str, value: Any, count: int, of: str) -> list[int]:
    """One number or several, as a list; None: all.

    Raises:
        UserError: as :func:`number`.
    """
    if value is None:
        return list(range(count))
    several = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return [number(argument, one, count, of) for one in several]
