"""Progress in tokens: a bar on a terminal, a line now and then in a log."""

import logging
import sys
import time

from tqdm import tqdm


class Progress:
    """Counts tokens; use as a context manager."""

    def __init__(self, total: int, name: str, every: float = 10.0) -> None:
        self.bar = tqdm(total=total, desc=name, unit="token", unit_scale=True, disable=not sys.stderr.isatty())
        self.total, self.name, self.every = total, name, every
        self.done, self.started = 0, time.monotonic()
        self.spoke = self.started

    def advance(self, tokens: int) -> None:
        self.done += tokens
        self.bar.update(tokens)
        now = time.monotonic()
        if now - self.spoke >= self.every or self.done >= self.total:
            self.spoke = now
            seconds = max(now - self.started, 1e-9)
            left = (self.total - self.done) * seconds / max(self.done, 1)
            logging.info(
                "%s: %d of %d tokens (%.0f%%), %.0f tokens/s, %s left",
                self.name, self.done, self.total, 100 * self.done / self.total, self.done / seconds,
                tqdm.format_interval(left),
            )  # fmt: skip

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()
