"""A browser, and the explorer of a few small models opened from disk."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from explorer_data import Model, write_explorer
from explorer_visitor import Visitor
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium, which is not on the PATH")
    with sync_playwright() as playwright:
        # The sandbox refuses to start for root, as containers run.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def models() -> dict[str, Model]:
    made = [
        Model("neo-8m", 4, 60, matched="neo-2m", seed=1),
        Model("neo-2m", 3, 40, matched="neo-8m", seed=2),
        Model(
            "neo-2m-random", 3, 40, weights="random", seed=3,
            without=("match_r", "norm_in", "norm_out", "cosine_in_out"),
        ),
    ]  # fmt: skip
    return {model.name: model for model in made}


@pytest.fixture(scope="session")
def explorer(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder; not to be changed."""
    folder = tmp_path_factory.mktemp("explorer")
    write_explorer(folder, models.values())
    return folder


@pytest.fixture()
def visit(browser: Browser) -> Iterator[Callable[[Path], Visitor]]:
    """Makes a visitor of an explorer's folder, in a window of its own; no test may leave an error behind."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(10_000)
    made = []

    def visit(folder: Path) -> Visitor:
        made.append(Visitor(context.new_page(), folder))
        return made[-1]

    yield visit
    context.close()
    assert [error for visitor in made for error in visitor.errors] == []


@pytest.fixture()
def visitor(visit: Callable[[Path], Visitor], explorer: Path) -> Visitor:
    return visit(explorer)
