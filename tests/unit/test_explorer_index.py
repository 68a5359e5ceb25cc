"""The page of the explorer as a file: all that it needs is in it, and no text of the manifest can leave its place."""

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from layerscope.explorer.index import SCRIPTS, write_index

PAGE = files("layerscope.explorer") / "page"


class Elements(HTMLParser):
    """Elements of a page with their attributes, and the text of those with an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str | None, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        identity = self.found[-1][1].get("id") if self.found else None
        self.text[identity] = self.text.get(identity, "") + data


def test_manifest_is_read_back_whatever_its_text(tmp_path: Path):
    manifest = {"corpus": "</script><script>alert(1)</script><!-- & \u2028\u2029 'größer' \" \\u003c", "models": []}
    write_index(tmp_path / "index.html", manifest)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Elements(text)
    assert json.loads(page.text["manifest"]) == manifest
    assert not set("<>&\u2028\u2029") & set(page.text["manifest"])
    assert sum(tag == "script" for tag, _ in page.found) == 1 + len(SCRIPTS)


def test_the_page_asks_for_nothing(tmp_path: Path):
    write_index(tmp_path / "index.html", {"models": []})
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    addresses = [
        attributes[name] for _, attributes in Elements(text).found for name in ("src", "href") if name in attributes
    ]
    assert addresses == ["data:,", "#main"]
    # The name of the format of SVG is an address that nothing asks for.
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert len(text) < 2e6


def test_all_scripts_are_in_the_page():
    assert {path.name.removesuffix(".js") for path in PAGE.iterdir() if path.name.endswith(".js")} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_or_code_of_text(name: str):
    text = (PAGE / f"{name}.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|srcdoc|\beval\b|Function\(|DOMParser|</script|<!--", text
    )


def test_what_json_cannot_say_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_index(tmp_path / "index.html", {"corpus": float("nan")})
    assert not (tmp_path / "index.html").exists()
