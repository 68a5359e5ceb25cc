"""docs/analysing.md and its notebook: the code runs on any study, and prints what is shown on the default one."""

import json
import re
from pathlib import Path

import pytest
from analysing_page import PAGE, blocks, printed_by, same

NOTEBOOK = PAGE.with_suffix(".ipynb")
BLOCKS = blocks(PAGE.read_text(encoding="utf-8"))
# Names and numbers of the default study → those of the tiny one.
OF_TINY = {r"neo-[28]m": "a", r"layer=\d": "layer=1", r"neuron=\d+": "neuron=3", r"layer_\d\d": "layer_01"}


def test_code_runs_on_another_study(finished: Path) -> None:
    codes = [code for code, _ in BLOCKS]
    for name, tiny in OF_TINY.items():
        codes = [re.sub(name, tiny, code) for code in codes]
    printed = printed_by(codes, finished / "results")
    assert [bool(text) for text in printed] == [bool(shown) for _, shown in BLOCKS]


def test_what_is_shown_is_of_the_default_study(default_results: Path) -> None:
    for (code, shown), printed in zip(BLOCKS, printed_by([code for code, _ in BLOCKS], default_results), strict=True):
        assert same(printed, shown), f"python tests/analysing_page.py writes it:\n{code}\n{printed}"


@pytest.mark.parametrize(
    ("printed", "is_same"),
    [
        ("  r\n 0.38 months", True),
        ("r 0.39 months", True),
        ("r 0.40 months", False),
        ("r 0.38 days", False),
        ("r 0.38 months 1", False),
    ],
)
def test_last_digits_may_differ(printed: str, is_same: bool) -> None:
    assert same(printed, "r 0.38 months\n") == is_same


def test_notebook_is_the_page_and_was_run() -> None:
    """All of its code, in order, with what the page shows; and it says nothing of the machine where it was run."""
    content = NOTEBOOK.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]
    assert ["".join(cell["source"]) + "\n" for cell in cells] == [code for code, _ in BLOCKS]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    figures = 0
    for cell, (code, shown) in zip(cells, BLOCKS, strict=True):
        printed = ["".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream"]
        assert "\n".join(line.rstrip() for line in "".join(printed).splitlines()) == shown.rstrip("\n")
        drawn = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
        assert len(drawn) == ("plt.subplots" in code)
        figures += len(drawn)
    assert figures >= 3 and len(content) < 400_000
    assert not re.search(r"/(home|root|tmp|work|Users)/", content)
