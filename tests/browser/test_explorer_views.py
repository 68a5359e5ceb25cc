"""The explorer in a browser: from the map to a neuron and its contexts, by pointer, keys and links."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from explorer_data import AFTER, BEFORE, CHUNK, PER_FILE, SEQUENCE, Model, read_layer, read_script
from explorer_visitor import Visitor
from playwright.sync_api import Browser, Page

HEADING = "#neuron h2"
OVERLAY = "#map .overlay"


def point_of(page: Page, layer: int, layers: int, value: float, low: float, high: float) -> tuple[float, float]:
    """Pixels of a neuron on the map of the first model, by the axes of the plot alone."""
    box = page.locator(OVERLAY).first.bounding_box()
    left, right, top, bottom = 58, 12, 10, 42
    x = box["x"] + left + (box["width"] - left - right) * (layer + 0.5) / layers
    y = box["y"] + top + (box["height"] - top - bottom) * (high - value) / (high - low)
    return x, y


def range_of(models: dict[str, Model], column: str) -> tuple[float, float]:
    values = np.concatenate([models[name].neurons[column] for name in ("neo-8m", "neo-2m")])
    return float(np.nanmin(values)), float(np.nanmax(values))


def test_from_map_to_neuron_and_its_link_in_another_window(
    visitor: Visitor, models: dict[str, Model], browser: Browser
):
    page = visitor.open()
    neurons = models["neo-8m"].neurons
    extreme = neurons.loc[neurons[neurons.layer == 2].r.idxmax()]
    place = point_of(page, 2, 4, extreme.r, *range_of(models, "r"))
    page.mouse.move(*place)
    said = page.inner_text("#map .readout").replace("−", "-")
    assert said == f"neo-8m · layer 2 · neuron {extreme.neuron:.0f}: r = {extreme.r:#.3g}"
    page.mouse.click(*place)
    visitor.settle()
    name = f"neo-8m · layer 2 · neuron {extreme.neuron:.0f}"
    assert page.inner_text(HEADING) == name
    contexts = page.locator("#neuron .contexts").inner_text()
    with browser.new_context() as another:
        restored = another.new_page()
        restored.goto(page.url)
        restored.wait_for_selector("main:not([aria-busy])")
        assert restored.inner_text(HEADING) == name
        assert restored.locator("#neuron .contexts").inner_text() == contexts
        assert restored.title() == f"{name} – layerscope explorer"
    page.click("nav >> text=Map")
    visitor.settle()
    assert page.locator("#map .pin title").text_content() == f"{name}, opened last"
    page.go_back()
    page.go_back()
    visitor.settle()
    assert page.locator("#map .pin").count() == 0
    page.go_forward()
    visitor.settle()
    assert page.inner_text(HEADING) == name


def test_box_on_the_map_becomes_a_filter(visitor: Visitor, models: dict[str, Model]):
    page = visitor.open()
    low, high = range_of(models, "r")
    start, end = (point_of(page, layer, 4, value, low, high) for layer, value in ((1, 0.2), (2, 0.0)))
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=3)
    page.mouse.up()
    page.wait_for_selector("#map .chosen a")
    chosen = page.inner_text("#map .chosen")
    page.click("#map .chosen a")
    visitor.settle()
    terms = dict(re.findall(r"(layer|r)(?:>=)(\S+)", page.input_value("#table .filter")))
    ends = dict(re.findall(r"(layer|r)(?:<=)(\S+)", page.input_value("#table .filter")))
    assert (terms["layer"], ends["layer"]) == ("1", "2")
    # One pixel of the plot is 0.003.
    assert float(terms["r"]) == pytest.approx(0.0, abs=0.005)
    assert float(ends["r"]) == pytest.approx(0.2, abs=0.005)
    neurons = models["neo-8m"].neurons
    inside = neurons.layer.between(1, 2) & neurons.r.between(np.float32(terms["r"]), np.float32(ends["r"]))
    assert chosen.startswith(f"{inside.sum()} neurons of neo-8m in the box")
    assert page.inner_text("#table .found") == f"{inside.sum()} of 240 neurons"


def test_two_statistics_across_and_up(visitor: Visitor, models: dict[str, Model]):
    page = visitor.open("x=mean&y=kurtosis&log=y")
    assert page.locator(OVERLAY).count() == 2
    neurons = models["neo-8m"].neurons
    lone = neurons.loc[neurons["kurtosis"].idxmax()]
    box = page.locator(OVERLAY).first.bounding_box()
    low, high = range_of(models, "mean")
    page.mouse.move(box["x"] + 58 + (box["width"] - 70) * (lone["mean"] - low) / (high - low), box["y"] + 10)
    assert f"neuron {lone.neuron:.0f}: mean = " in page.inner_text("#map .readout")


def test_a_model_without_a_column_says_so(visitor: Visitor):
    page = visitor.open("other=neo-2m-random&y=match_r")
    assert "neo-2m-random has no r with the matched neuron." in page.inner_text("#map")
    assert page.locator(OVERLAY).count() == 2
    visitor.open("view=neuron&model=neo-2m-random")
    assert "Weights" not in page.inner_text("#neuron")
    assert page.locator("#neuron .match").inner_text() == ""


def test_contexts_are_those_of_the_files(visitor: Visitor, explorer: Path):
    page = visitor.open("view=neuron&layer=1&neuron=7")
    layer = read_layer(explorer, "neo-8m", 1)
    _, _, tokens = read_script(explorer / "data/tokens/mini/00000.js")
    _, _, second = read_script(explorer / "data/tokens/mini/00001.js")
    ids = np.concatenate([tokens["input_ids"], second["input_ids"]])
    assert page.locator("#neuron .strip").count() == 29
    for context in range(29):
        place = int(layer["context_place"][7, context])
        start = place - place % SEQUENCE
        strip = page.locator("#neuron .strip").nth(context)
        said = strip.locator(".token").evaluate_all("(tokens) => tokens.map((token) => token.dataset.said)")
        first, last = max(start, place - BEFORE), min(start + SEQUENCE - 1, place + AFTER)
        assert len(said) == last - first + 1
        assert (
            said[place - first]
            .replace("−", "-")
            .endswith(
                f": {layer['context_value'][7, context]:#.3g}, position {place - start} of sequence {place // SEQUENCE}"
            )
        )
        q = int(layer["context_window"][7, context, BEFORE + first - place])
        low, high = layer["window_low"][7], layer["window_high"][7]
        value = low + (q - 1) / 254 * (high - low)
        if first != place:
            assert float(said[0].replace("−", "-").rsplit(": ", 1)[1].split(",")[0]) == pytest.approx(value, rel=0.006)
        assert strip.locator(".focus").count() == 1
    assert (layer["context_place"][7] >= CHUNK).any()  # of both files of tokens
    shown = page.locator("#neuron .strip").first.locator(".focus").inner_text()
    _, _, vocabulary = read_script(explorer / "data/vocabulary/mini.js")
    token = ids[layer["context_place"][7, 0]]
    start = vocabulary["ends"][token - 1] if token else 0
    text = vocabulary["bytes"][start : vocabulary["ends"][token]].tobytes().decode(errors="ignore")
    assert re.sub(r"\W", "", text) in re.sub(r"\W", "", shown)


@pytest.mark.parametrize("neuron", [0, PER_FILE - 1, PER_FILE, 59])
def test_neurons_of_every_file_of_a_layer(visitor: Visitor, explorer: Path, neuron: int):
    asked = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    page = visitor.open(f"view=neuron&layer=2&neuron={neuron}")
    files = [url.partition("layer_02/")[2] for url in asked if "neo-8m/layer_" in url]
    assert files == [f"{neuron // PER_FILE:02d}.js"]
    layer = read_layer(explorer, "neo-8m", 2)
    value = page.locator("#neuron .context .value").first.inner_text()
    assert value.replace("−", "-") == f"{layer['context_value'][neuron, 0]:#.3g}"
    assert f"neuron {layer['match_neuron'][neuron]}" in page.inner_text("#neuron .match")
    ids = page.locator("#neuron .tokens").first.locator(".token").evaluate_all("(tokens) => tokens.map((t) => t.title)")
    assert ids == [f"token id {i}" for i in layer["types_top"][neuron][:9]]


def test_matched_neuron_beside_it(visitor: Visitor, explorer: Path):
    page = visitor.open("view=neuron&layer=1&neuron=7")
    layer = read_layer(explorer, "neo-8m", 1)
    name = f"neo-2m · layer {layer['match_layer'][7]} · neuron {layer['match_neuron'][7]}"
    assert name in page.inner_text("#neuron .match")
    page.click("text=Show side by side")
    visitor.settle()
    assert page.locator("#neuron .panel h3").all_inner_texts()[0] == "neo-8m · layer 1 · neuron 7"
    assert name in page.locator("#neuron .panel h3").all_inner_texts()
    assert page.locator("#neuron .plot").count() == 6
    axes = page.locator("#neuron .panel").evaluate_all(
        "(panels) => panels.map((panel) => [...panel.querySelector('.plot').querySelectorAll('[text-anchor=middle]')]"
        ".map((tick) => `${tick.textContent} at ${tick.getAttribute('x')}`))"
    )
    assert axes[0] == axes[1]
    assert len(axes[0]) > 3
    page.click(f"#neuron .match >> text={name}")
    visitor.settle()
    assert page.inner_text(HEADING) == name


def test_a_saved_plot_stands_alone(visitor: Visitor):
    page = visitor.open("view=neuron&neuron=4")
    for view, saved in (("neuron", 3), ("map", 2)):
        buttons = page.locator(f"#{view} .save")
        assert buttons.count() == saved
        for number in range(saved):
            with page.expect_download() as download:
                buttons.nth(number).click()
            text = Path(download.value.path()).read_text(encoding="utf-8")
            root = ElementTree.fromstring(text)
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert "var(" not in text
            assert "class=" not in text
            labels = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
            assert {"correlation", "activation", "token length (characters)", "layer"} & set(labels)
        visitor.open("view=map")


def test_the_neuron_is_one_of_the_model_when_that_changes(visitor: Visitor):
    page = visitor.open("view=neuron&layer=3&neuron=59")
    page.get_by_label("Model").locator("visible=true").select_option("neo-2m")
    visitor.settle()
    assert page.inner_text(HEADING) == "neo-2m · layer 2 · neuron 39"
    page.get_by_label("Layer", exact=True).fill("7")
    page.keyboard.press("Enter")
    visitor.settle()
    assert visitor.problem() == "There is no layer 7 in neo-2m: its layers are 0 to 2."


def test_focus_stays_on_what_was_pressed(visitor: Visitor):
    page = visitor.open("view=table")
    for pressed in ("[data-column=r]", "nav a >> text=Neuron", "#neuron .match .button"):
        page.locator(pressed).focus()
        page.keyboard.press("Enter")
        visitor.settle()
        assert page.evaluate("(node) => document.activeElement === node", page.locator(pressed).element_handle())
    page.keyboard.press("3")
    visitor.settle()
    page.locator("#table tbody a").first.focus()
    page.keyboard.press("Enter")
    visitor.settle()
    assert page.evaluate("() => document.activeElement.id") == "main"


def test_a_browser_without_the_newest_functions(visitor: Visitor):
    visitor.page.add_init_script("delete Uint8Array.fromBase64")
    page = visitor.open("view=neuron")
    assert page.locator("#neuron .strip").count() == 29
    visitor.page.add_init_script("delete window.DecompressionStream")
    page.reload()
    visitor.settle()
    assert visitor.problem() == "This browser is too old to read the data files: use one of 2023 or later."


def test_keys(visitor: Visitor):
    page = visitor.open("view=neuron&layer=1&neuron=0")
    for key, name in (
        ("ArrowLeft", "layer 1 · neuron 0"),
        ("ArrowRight", "layer 1 · neuron 1"),
        ("Shift+ArrowRight", "layer 2 · neuron 1"),
        ("Shift+ArrowLeft", "layer 1 · neuron 1"),
        ("ArrowLeft", "layer 1 · neuron 0"),
    ):
        page.keyboard.press(key)
        visitor.settle()
        assert page.inner_text(HEADING) == f"neo-8m · {name}"
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    page.keyboard.press("3")
    visitor.settle()
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.matches('#table .filter')")
    page.keyboard.type("r>1/?3")
    page.keyboard.press("Enter")
    visitor.settle()
    assert visitor.problem() == (
        "Filter: r>1/?3: 1/?3 is no number; write a column, one of = != < <= > >= and a number, for example r>0.2."
    )
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    visitor.settle()
    assert page.locator("#map").is_visible()


def test_keys_on_the_map_and_in_a_strip(visitor: Visitor, models: dict[str, Model]):
    page = visitor.open()
    page.locator(OVERLAY).first.focus()
    page.keyboard.press("ArrowUp")
    first = page.inner_text("#map .readout")
    page.keyboard.press("ArrowUp")
    second = page.inner_text("#map .readout")
    name, value = re.fullmatch(r"(neo-8m · layer \d+ · neuron \d+): r = (.*)", second).groups()
    assert float(value.replace("−", "-")) >= float(first.split("= ")[1].replace("−", "-"))
    page.keyboard.press("Enter")
    visitor.settle()
    assert page.inner_text(HEADING) == name
    page.locator("#neuron .strip .focus").first.focus()
    said = page.inner_text("#tooltip")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#tooltip") != said
    assert page.inner_text(HEADING) == name


STATES = ("view=map", "view=neuron&layer=1&neuron=7", "view=neuron&beside=1", "view=table&token=nternat")


def test_narrow_screen(visitor: Visitor):
    visitor.page.set_viewport_size({"width": 400, "height": 800})
    for state in STATES:
        page = visitor.open(state)
        assert page.evaluate("() => document.documentElement.scrollWidth") == 400


def test_dark_by_preference_and_by_choice(visitor: Visitor):
    page = visitor.page

    def brightness() -> int:
        colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    page.emulate_media(color_scheme="light")
    visitor.open()
    assert brightness() == 3 * 255
    page.emulate_media(color_scheme="dark")
    assert brightness() < 150
    page.click("#theme")  # dark
    page.click("#theme")  # light
    assert brightness() == 3 * 255
    page.reload()
    assert page.inner_text("#theme") == "Theme: light"
    assert brightness() == 3 * 255


def test_everything_has_a_name(visitor: Visitor):
    for state in STATES:
        page = visitor.open(state)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, select, svg[role], progress, [tabindex='0']")]
                .filter((node) => node.checkVisibility() && !(node.getAttribute("aria-label")
                    || node.textContent.trim() || node.labels?.[0]?.textContent.trim()))
                .map((node) => node.outerHTML.slice(0, 80))"""
        )
        assert nameless == []
