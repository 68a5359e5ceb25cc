"""The explorer with hostile text, wrong links, and data files that are missing or damaged."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from explorer_data import HOSTILE, read_script
from explorer_visitor import Visitor
from playwright.sync_api import Browser

from layerscope.explorer.packed import write_script

NEURON = "view=neuron&layer=1&neuron=7"
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@pytest.fixture()
def copy(explorer: Path, tmp_path: Path) -> Path:
    return shutil.copytree(explorer, tmp_path / "explorer")


def test_hostile_text_is_shown_and_not_run(copy: Path, visit: Callable[[Path], Visitor]):
    path = copy / "data/tokens/mini/00000.js"
    name, facts, arrays = read_script(path)
    arrays["input_ids"] = (np.arange(len(arrays["input_ids"])) % len(HOSTILE)).astype(np.uint32)
    write_script(path, name, arrays, facts)
    path = copy / "data/neo-8m/layer_01/00.js"
    name, facts, arrays = read_script(path)
    arrays = {name: array.copy() for name, array in arrays.items()}
    arrays["context_place"][7] = 30
    arrays["types_top"][7] = range(10)
    arrays["types_bottom"][7, :5] = range(10, 15)
    write_script(path, name, arrays, facts)
    hostile = visit(copy).open(NEURON)
    assert hostile.evaluate("() => window.attacked") is None
    assert hostile.locator("#main img, #main script, #main [onload], #main [onerror], #main b").count() == 0
    types = hostile.locator("#neuron .tokens .token").all_inner_texts()[:15]
    assert types == [
        "<img·src=x·onerror=\"window.attacked='img'\">",
        "</script><script>window.attacked='script'</script>",
        "<svg·onload=window.attacked='svg'>",
        "&lt;b&gt;",
        "U+202EevilU+202C",
        "U+2067שלוםU+2069",
        "שלום",
        "aU+2028bU+2029c",
        "nulU+0000nul",
        "U+001B[31mred",
        "\\u003cb\\u003e",
        "'\"`${window.attacked=1}",
        "U+200BU+FEFFU+00AD",
        "◌\u0301",
        "{{·manifest·}}",
    ]
    assert not set(hostile.evaluate("() => document.querySelector('main').textContent")) & set(
        TURNING + "\0\x1b\u2028\u2029"
    )
    # Text from right to left leaves the order of tokens as it is.
    place = "(tokens) => tokens.map((token) => token.getBoundingClientRect()).map(({ left, top }) => [left, top])"
    boxes = hostile.locator("#neuron .strip").first.locator(".token").evaluate_all(place)
    assert len(boxes) == 21
    for (left, top), (next_left, next_top) in pairwise(boxes):
        assert next_left > left or next_top > top


def test_marks_of_what_does_not_show(visitor: Visitor):
    page = visitor.open("view=table&token=#15")
    said = [page.inner_text("#table .searched")]
    for token in (16, 17, 18, 37, 39):
        visitor.open(f"view=table&token=%23{token}")
        said.append(page.inner_text("#table .searched"))
    marks = [line.removeprefix("Neurons with ").split(" among")[0] for line in said]
    assert marks == ["↵", "⇥", "[U+000D]↵", "··", "⟨e2 82⟩", "⟨20 f0 9f⟩"]


WRONG_LINKS = {
    "view=neuron&layer=9": "There is no layer 9 in neo-8m: its layers are 0 to 3.",
    "view=neuron&neuron=x": "There is no neuron x in layer 0 of neo-8m: its neurons are 0 to 59.",
    "view=neuron&model=gpt": "There is no model gpt: models are neo-8m, neo-2m, neo-2m-random.",
    "view=list": "There is no view list: views are map, neuron and table.",
    "y=%3Cimg%20src=x%3E": "There is no column <img src=x>: columns are layer, neuron, r, ",
    "model=constructor": "There is no model constructor: models are neo-8m, neo-2m, neo-2m-random.",
    "sort=-__proto__&view=table": "There is no column __proto__: columns are layer, neuron, r, ",
    "view=table&token=her&among=x": "There is no list x: lists of tokens are top, bottom, promoted, suppressed.",
    "view=table&filter=r%3E": "Filter: r>: nothing is no number; ",
}


def test_a_wrong_link_is_one_line(visitor: Visitor):
    for state, problem in WRONG_LINKS.items():
        visitor.open(state)
        assert visitor.problem().startswith(problem)
        assert "\n" not in visitor.problem()
        visitor.open("%ff%=&&")
        assert visitor.problem() == ""
        assert visitor.page.locator("#map .overlay").count() == 2


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("vocabulary/mini", "missing"),
        ("tokens/mini/00000", "missing"),
        ("neo-8m/layer_01/00", "missing"),
        ("neo-8m/layer_01/00", "cut"),
        ("neo-8m/layer_01/00", "other"),
    ],
)
def test_a_data_file_that_cannot_be_read_is_one_line(copy: Path, browser: Browser, name: str, fault: str):
    path = copy / f"data/{name}.js"
    text = path.read_text(encoding="ascii")
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_text(text[: len(text) // 2], encoding="ascii")
    else:
        path.write_text(text.replace("H4sI", "AAAA", 1), encoding="ascii")
    with browser.new_context() as context:
        visitor = Visitor(context.new_page(), copy)
        page = visitor.open(NEURON)
        what = (
            "is missing: keep the folder data beside this page, whole."
            if fault == "missing"
            else "is damaged: copy the folder of this page anew, or run the workflow again."
        )
        assert visitor.problem() == f"data/{name}.js {what}"
        assert page.locator("#neuron .panel").count() == 0
        path.write_text(text, encoding="ascii")
        page.keyboard.press("ArrowRight")
        visitor.settle()
        assert visitor.problem() == ""
        assert page.inner_text("#neuron h2") == "neo-8m · layer 1 · neuron 8"
