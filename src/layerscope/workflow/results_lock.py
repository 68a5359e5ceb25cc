"""One run at a time in a results folder, which copies of the project may share by a link."""

import fcntl
import os
import socket
import sys
import time
from pathlib import Path

from layerscope.io.errors import UserError

PATIENCE = 1.0  # seconds: another run may look at the lock just now, or has not yet written who it is


class ResultsLock:
    """A lock of the kernel on a file in the results folder.

    It lasts as long as this process, however that ends; processes that this one starts do not inherit it. The file
    stays, and says who took the lock last.
    """

    def __init__(self, results: str | Path) -> None:
        self.path = Path(results) / ".lock"
        self._before = self._state()
        self._descriptor: int | None = None

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _state(self) -> tuple[str, bool]:
        """Who took the lock last, and whether that run goes on."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except OSError:
            return "", False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return self._text(), False
        except BlockingIOError:
            return self._text(), True
        except OSError:
            return "", False
        finally:
            os.close(descriptor)

    def take(self) -> None:
        """Take the lock, before anything is changed. Where there can be none, a warning says so.

        Raises:
            UserError: another run has it, or had it since this object was made, when planning began.
        """
        try:
            self.path.parent.mkdir(exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o664)
            taken = self._wait(self._descriptor)
        except OSError as error:
            print(
                f"{self.path}: cannot be locked ({error.strerror}); make sure that no other run uses the same "
                f"{self.path.parent}/",
                file=sys.stderr,
                flush=True,
            )
            return
        text = self._text()
        if not taken:
            raise UserError(
                f"{self.path.parent}/: another run is using it ({text or 'it does not say which'}); wait until it "
                "ends, or name another folder for this one's results"
            )
        if self._before[1] or self._before[0] != text:
            raise UserError(
                f"{self.path.parent}/: another run ended there while this one was planned ({text}); run again"
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{_myself()}\n".encode(errors="replace"), 0)

    def _wait(self, descriptor: int) -> bool:
        """Whether the lock was free, or became so soon."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(0.1)
            else:
                return True


def _myself() -> str:
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"host {socket.gethostname()}, process {os.getpid()}, folder {Path.cwd()}, since {started}"
