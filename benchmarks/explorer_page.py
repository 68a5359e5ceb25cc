"""How long the explorer takes to show things, in Chromium.

    python benchmarks/explorer_page.py results/explorer [--repeats 5]

Opens the page from disk in a new window each time, so that no data file is decoded yet, and prints the median of the
milliseconds from each action until what it asks for is drawn. The first model is the one measured: its last layers
are read by the search for a token.
"""

import argparse
import shutil
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

# Resolves with the milliseconds from a change of the address until the view is shown and a frame is drawn.
SHOW = """(state) => new Promise((done) => {
  const main = document.getElementById("main");
  const start = performance.now();
  new MutationObserver((_, observer) => {
    if (main.hasAttribute("aria-busy")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  }).observe(main, { attributes: true });
  location.hash = state;
})"""
PAINT = "() => performance.getEntriesByType('paint').find(({ name }) => name === 'first-contentful-paint').startTime"


def measure(browser: Browser, page_file: Path) -> dict[str, float]:
    """Milliseconds of each action, in one new window."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("#map .overlay")
    times = {"first map, from the start": page.evaluate("() => performance.now()"), "first paint": page.evaluate(PAINT)}
    last = page.evaluate("() => layerscope.manifest.models[0].layers - 1")
    page.evaluate("() => layerscope.vocabularyOf(layerscope.manifest.models[0])")
    actions = {
        "a neuron of a layer that is not decoded": "view=neuron&layer=1&neuron=10",
        "the next neuron": "view=neuron&layer=1&neuron=11",
        "the table": "view=table",
        "the table sorted": "view=table&sort=-r",
        "the table filtered": "view=table&sort=-r&filter=r>0.1 kurtosis<2",
        "neurons of three layers by a token": f"view=table&token=%2310&filter=layer>={last - 2}",
        "the map by two other statistics": "view=map&x=mean&y=kurtosis&log=y",
    }
    times |= {what: page.evaluate(SHOW, state) for what, state in actions.items()}
    context.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        runs = [measure(browser, (arguments.folder / "index.html").resolve()) for _ in range(arguments.repeats)]
        browser.close()
    for what in runs[0]:
        print(f"{median(run[what] for run in runs):7.0f} ms  {what}")


if __name__ == "__main__":
    main()
