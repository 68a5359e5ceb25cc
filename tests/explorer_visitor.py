"""Opens the explorer in a browser."""

from pathlib import Path

from playwright.sync_api import Page, Request


class Visitor:
    """Opens the explorer, and keeps what went wrong: errors of the page, and requests for anything but its files."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.errors: list[str] = []
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._check)

    def _check(self, request: Request) -> None:
        if not request.url.startswith((self.folder.as_uri(), "data:,", "blob:")):
            self.errors.append(f"request for {request.url}")

    def open(self, state: str = "") -> Page:
        """Open it, or go on to another state, and wait until all is shown."""
        self.page.goto(f"{self.folder.as_uri()}/index.html#{state}")
        return self.settle()

    def settle(self) -> Page:
        # Its address changes before what it shows.
        self.page.evaluate("() => new Promise((done) => setTimeout(done))")
        self.page.wait_for_selector("main:not([aria-busy])")
        return self.page

    def problem(self) -> str:
        return self.page.inner_text("#problem")
