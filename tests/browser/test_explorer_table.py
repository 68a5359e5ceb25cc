"""The table of the explorer, beside pandas on the same numbers."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explorer_data import COLUMNS, NONE, Model, read_layer, read_script
from explorer_visitor import Visitor
from playwright.sync_api import Page


def saved(page: Page) -> pd.DataFrame:
    with page.expect_download() as download:
        page.click("text=Save CSV")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    types = {"layer": np.int64, "neuron": np.int64} | dict.fromkeys(COLUMNS, np.float32)
    return pd.read_csv(io.StringIO(text), dtype=types)


def apply_filter(visitor: Visitor, text: str) -> None:
    visitor.page.fill("#table .filter", text)
    visitor.page.press("#table .filter", "Enter")
    visitor.settle()


FILTERS = {
    "layer=3 r>0.2 dip_tokens<0.001": "layer == 3 and r > 0.2 and dip_tokens < 0.001",
    "kurtosis=0.5": "kurtosis == 0.5",
    "kurtosis != .5  r <= -1e-1": "kurtosis != 0.5 and r <= -0.1",
    "r_types>=0": "r_types >= 0",
    "r_null_high=0.04 neuron>57": "r_null_high == 0.04 and neuron > 57",
    "model=neo-8m neuron<3": "neuron < 3",
    "model!=neo-8m": "neuron < 0",
    "": "neuron >= 0",
}


def test_filter_gives_what_pandas_gives(visitor: Visitor, models: dict[str, Model]):
    page = visitor.open("view=table&filter=r>2")
    for text, query in FILTERS.items():
        apply_filter(visitor, text)
        expected = models["neo-8m"].neurons.query(query)[["layer", "neuron"]]
        assert page.inner_text("#table .found") == f"{len(expected)} of 240 neurons"
        pd.testing.assert_frame_equal(saved(page)[["layer", "neuron"]], expected.reset_index(drop=True))


def test_sort_gives_what_pandas_gives(visitor: Visitor, models: dict[str, Model]):
    page = visitor.open("view=table")
    # The largest come first at the first click, but for numbers of neurons.
    for column, orders in {
        "r": (False, True),
        "kurtosis": (False, True),
        "r_types": (False,),
        "neuron": (True,),
    }.items():
        for ascending in orders:
            page.click(f"#table thead [data-column={column}]")
            visitor.settle()
            expected = models["neo-8m"].neurons.sort_values(column, ascending=ascending, kind="stable")
            pairs = list(zip(expected.layer, expected.neuron, strict=True))
            found = saved(page)
            assert list(zip(found.layer, found.neuron, strict=True)) == pairs
            cells = [line.split("\t") for line in page.locator("#table tbody tr:not(.space)").all_inner_texts()]
            assert [(int(layer), int(neuron)) for _, layer, neuron, *_ in cells[:12]] == pairs[:12]
            assert page.locator(f"th[aria-sort={'ascending' if ascending else 'descending'}]").count() == 1


def test_csv_has_every_bit(visitor: Visitor, models: dict[str, Model]):
    names = ["r", "p", "kurtosis", "r_types", "match_r"]
    page = visitor.open(f"view=table&both=1&columns={','.join(names)}")
    expected = pd.concat([models[name].neurons.assign(model=name) for name in ("neo-8m", "neo-2m")], ignore_index=True)
    pd.testing.assert_frame_equal(saved(page), expected[["model", "layer", "neuron", *names]], check_exact=True)


def test_rows_out_of_sight_come_when_scrolled_to(visitor: Visitor):
    page = visitor.open("view=table")
    assert page.locator("#table tbody tr").count() < 80
    page.evaluate("() => document.querySelector('.scroller').scrollTo(0, 1e6)")
    last = page.locator("#table tbody tr[aria-rowindex='241']")
    last.wait_for()
    assert last.inner_text().startswith("neo-8m\t3\t59\t")
    last.locator("a").click()
    visitor.settle()
    assert page.inner_text("#neuron h2") == "neo-8m · layer 3 · neuron 59"


def test_columns_are_chosen(visitor: Visitor):
    page = visitor.open("view=table&columns=r,mean")
    page.click("text=Columns")
    page.get_by_label("norm_in").check()
    visitor.settle()
    assert page.locator("#table thead th").all_inner_texts() == ["model", "layer", "neuron", "r", "mean", "norm_in"]
    assert "columns=r%2Cmean%2Cnorm_in" in page.url


@pytest.mark.parametrize("filtered", ["", "layer>=1 layer<=2"])
def test_token_search_gives_the_neurons_whose_top_types_hold_it(visitor: Visitor, explorer: Path, filtered: str):
    page = visitor.open("view=table")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    apply_filter(visitor, filtered)
    page.get_by_label("Token", exact=True).fill("her")
    page.get_by_label("Token", exact=True).press("Enter")
    page.wait_for_selector("#table .searched:not(:empty)")
    visitor.settle()
    assert page.inner_text("#table .searched").startswith(
        "Neurons with ·her or her among their ten token types with the largest mean."
    )
    _, _, vocabulary = read_script(explorer / "data/vocabulary/mini.js")
    starts = np.append(0, vocabulary["ends"][:-1])
    texts = [vocabulary["bytes"][i:j].tobytes() for i, j in zip(starts, vocabulary["ends"], strict=True)]
    ids = [i for i, text in enumerate(texts) if text in (b"her", b" her")]
    layers = range(1, 3) if filtered else range(4)
    expected = []
    for layer in layers:
        arrays = read_layer(explorer, "neo-8m", layer)
        assert NONE in arrays["types_top"]
        expected += [(layer, neuron) for neuron in np.flatnonzero(np.isin(arrays["types_top"], ids).any(axis=1))]
    found = saved(page)
    assert list(zip(found.layer, found.neuron, strict=True)) == expected
    assert expected
    files = {f"layer_{layer:02d}/{number:02d}.js" for layer in layers for number in range(3)}
    assert {"/".join(name.split("/")[-2:]) for name in asked if "/layer_" in name} == files


def test_a_token_that_is_not_there_brings_others(visitor: Visitor):
    page = visitor.open("view=table&token=nternat")
    assert page.inner_text("#table .found") == "0 of 240 neurons"
    page.click("#table .suggestion >> text=internationalisation")
    visitor.settle()
    assert "token=%23" in page.url
    assert (
        page.inner_text("#table .searched")
        == "Neurons with ·internationalisation among their ten token types with the largest mean."
    )


LISTS = {
    "types_top": "token types with the largest mean",
    "types_bottom": "token types with the smallest mean",
    "logits_top": "promoted tokens",
    "logits_bottom": "suppressed tokens",
}


@pytest.mark.parametrize("number", range(4))
def test_a_token_leads_to_the_neurons_that_have_it_in_the_same_list(visitor: Visitor, explorer: Path, number: int):
    page = visitor.open("view=neuron&layer=1&neuron=57")
    page.locator("#neuron .tokens").nth(number).locator("a").first.click()
    visitor.settle()
    array, label = list(LISTS.items())[number]
    arrays = read_layer(explorer, "neo-8m", 1)
    token = arrays[array][57, 0]
    found = saved(page)
    assert set(found.layer) == {1}
    assert list(found.neuron) == list(np.flatnonzero((arrays[array] == token).any(axis=1)))
    assert page.inner_text("#table .searched").endswith(f" among their ten {label}.")
    assert page.get_by_label("Among the ten").locator("option:checked").inner_text() == label


def test_a_model_without_an_unembedding_has_no_promoted_tokens(visitor: Visitor, explorer: Path):
    page = visitor.open("view=table&model=neo-2m-random&other=neo-8m&both=1&token=%2315&among=promoted")
    none = "neo-2m-random has no such list, as it has no unembedding."
    assert page.inner_text("#table .searched") == f"Neurons with ↵ among their ten promoted tokens. {none}"
    layers = [read_layer(explorer, "neo-8m", layer)["logits_top"] for layer in range(4)]
    expected = [(layer, row) for layer, ids in enumerate(layers) for row in np.flatnonzero((ids == 15).any(axis=1))]
    found = saved(page)
    assert set(found.model) == {"neo-8m"}
    assert list(zip(found.layer, found.neuron, strict=True)) == expected


FORM = "write a column, one of = != < <= > >= and a number, for example r>0.2"


MISTAKES = {
    "rr>0.2": "there is no column rr; the nearest are r, p, std, layer.",
    "r>": f"nothing is no number; {FORM}.",
    "r==0.2": f"=0.2 is no number; {FORM}.",
    "r>0.2x": f"0.2x is no number; {FORM}.",
    "model>neo-8m": "a model is compared by = or !=.",
    "model=gpt": "there is no such model; models are neo-8m, neo-2m, neo-2m-random.",
}


def test_a_mistake_in_the_filter_is_one_line(visitor: Visitor):
    visitor.open("view=table")
    for text, problem in MISTAKES.items():
        apply_filter(visitor, text)
        assert visitor.problem() == f"Filter: {text}: {problem}"
        apply_filter(visitor, "r>0.2")
        assert visitor.problem() == ""
    for text in ("r", ">0.2", "<img>1"):
        apply_filter(visitor, text)
        assert visitor.problem() == f"Filter: {text} is no condition; {FORM}."


def test_a_column_that_the_model_lacks(visitor: Visitor):
    visitor.open("view=table&model=neo-2m-random&filter=match_r>0.5")
    assert visitor.problem() == "neo-2m-random has no column match_r."
