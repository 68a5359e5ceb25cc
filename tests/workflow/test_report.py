"""The report holds all that it shows, in order, and whole figures: one that is damaged is named, with the command that
makes it anew."""

import gzip
import hashlib
import html
import json
import re
import shlex
import shutil
import subprocess
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from pathlib import Path
from zlib import crc32

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from PIL import Image
from planning import run_study

from layerscope.io.errors import UserError
from layerscope.io.tables import write_csv
from layerscope.plotting import figure
from layerscope.report.cost import cost
from layerscope.report.figures import Figure, load_figure
from layerscope.report.page import write_report
from layerscope.report.section import Files
from layerscope.report.tables import kept_table


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """A figure as the jobs draw it, and small."""
    (tmp_path / "lengths.rst").write_text("Of lengths.")
    paths = [str(tmp_path / f"lengths.{kind}") for kind in ("png", "svg")]
    with figure(paths, 0.5, 0.3) as drawn, plt.rc_context({"axes.spines.left": False}):
        drawn.text(0.4, 0.4, "x")
    return Path(paths[0])


def load(png: Path) -> Figure:
    return load_figure(str(png), png.parent, png.parent, "lengths of lines")


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load(path.with_suffix(".png"))
    line = str(error.value)
    assert line.startswith(f"{path}: ") and line.endswith(f"; delete it and run again (rm {shlex.quote(str(path))})")
    assert "\n" not in line and "<" not in line  # no repr of an object
    return line


def test_a_figure_is_shown_at_its_size(png: Path) -> None:
    shown = load(png)
    assert shown.title == "lengths of lines"
    assert (shown.name, shown.width) == ("lengths", 60)  # an inch has 96 pixels, and a quarter more on a screen


def test_a_study_reads_its_tables_checked_and_by_name(tmp_path: Path) -> None:
    tables = {"layers": pd.DataFrame({"layer": [0, 1]}), "lengths": pd.DataFrame({"length": [3]})}
    paths = {name: tmp_path / f"results/study/{name}.csv" for name in tables}
    for name, path in paths.items():
        write_csv(path, tables[name])
    given: dict[str, str | list[str]] = {"layers": str(paths["layers"]), "lengths": [str(paths["lengths"])]}
    files = Files(tmp_path / "results", [], [], given, ["mini"], {})
    pd.testing.assert_frame_equal(files.table("layers"), tables["layers"])
    pd.testing.assert_frame_equal(files.of_tokenizers("lengths")["mini"], tables["lengths"])
    saved = files.downloads(
        {"lengths": "lengths of tokens", "properties": "of a study that has some", "layers": "layers"}
    )
    assert [(table.name, table.path) for table in saved] == [
        ("study-lengths.csv", "study/lengths.csv"),
        ("study-layers.csv", "study/layers.csv"),
    ]
    assert b64decode(saved[0].uri.partition(",")[2]) == paths["lengths"].read_bytes()
    paths["layers"].write_text("layer\n0\n2\n")
    for read in (lambda: files.table("layers"), lambda: files.downloads({"layers": "layers"})):
        with pytest.raises(UserError, match=r"study/layers\.csv: "):
            read()


def test_the_smaller_file_is_shown(png: Path) -> None:
    sizes = {kind: png.with_suffix(kind).stat().st_size for kind in (".png", ".svg")}
    assert load(png).image.startswith("data:image/png;base64,iVBOR") == (sizes[".png"] < sizes[".svg"])
    large = png.read_bytes()
    end = large.index(b"IEND") - 4
    noise = b"tEXt" + b"Comment\0" + bytes(65 for _ in range(sizes[".svg"]))
    chunk = (len(noise) - 4).to_bytes(4) + noise + crc32(noise).to_bytes(4)
    png.write_bytes(large[:end] + chunk + large[end:])
    head, content = load(png).image.split(",")
    assert head == "data:image/svg+xml;base64"
    assert b64decode(content) == png.with_suffix(".svg").read_bytes()


@pytest.mark.parametrize("kind", [".png", ".svg"])
def test_every_flipped_byte_is_found(png: Path, kind: str) -> None:
    """Each byte of a PNG is one of its signature, or under a checksum, or the end; an SVG ends with its digest."""
    path = png.with_suffix(kind)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        refused(path)


def test_an_svg_that_ends_early_or_late_is_refused(png: Path) -> None:
    path = png.with_suffix(".svg")
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-1], whole[:-60], whole + b"\n", whole + whole):
        path.write_bytes(content)
        assert "is not a whole SVG image" in refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty, not a PNG image"),
        (b"this was a figure\n", "is not a PNG image"),
        (bytes(64), "is not a PNG image"),
    ],
    ids=["empty", "text", "zeros"],
)
def test_what_is_no_image_is_refused(png: Path, content: bytes, said: str) -> None:
    png.write_bytes(content)
    assert said in refused(png)


def test_an_image_that_ends_early_or_late_is_refused(png: Path) -> None:
    whole = png.read_bytes()
    for length in range(1, len(whole)):
        png.write_bytes(whole[:length])
        refused(png)
    png.write_bytes(whole + b"\n")
    assert "is not a whole PNG image" in refused(png)


def test_an_image_of_another_format_is_refused(png: Path) -> None:
    Image.open(png).convert("RGB").save(png, "JPEG")
    assert "is not a PNG image" in refused(png)


@pytest.mark.parametrize("content", [b"", b"this was a figure\n", None], ids=["empty", "text", "flipped byte"])
def test_the_report_is_not_written_with_a_damaged_figure(finished: Path, tmp_path: Path, content: bytes | None) -> None:
    """The line's command makes the figure anew, and the report is as it was."""
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    figure_path, report = "results/path_length/figures/path_r.png", folder / "results/report.html"
    drawn, written = (folder / figure_path).read_bytes(), report.read_text(encoding="utf-8")
    at = len(drawn) // 2
    (folder / figure_path).write_bytes(
        drawn[:at] + bytes([drawn[at] ^ 1]) + drawn[at + 1 :] if content is None else content
    )
    report.unlink()
    run = run_study(folder, fails=True)
    [line] = [line for line in run.stderr.splitlines() if line.startswith("layerscope: ")]
    assert line.startswith(f"layerscope: report: {figure_path}: ")
    assert f"delete it and run again (rm {figure_path}) (log: results/logs/report.log)" in line
    assert not report.exists()
    subprocess.run(["rm", figure_path], cwd=folder, check=True)
    run_study(folder)
    assert (folder / figure_path).read_bytes() == drawn
    assert report.read_text(encoding="utf-8") == written


class Page(HTMLParser):
    """Elements of the report, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.tags, self.stack, self.texts = path, [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.stack.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.stack[-1], " ".join(data.split())))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture(scope="module")
def page(finished: Path) -> Page:
    return Page(finished / "results/report.html")


def test_parts_come_in_order(page: Page) -> None:
    assert page.text("h1") == ["How activations change with depth"]
    assert page.text("h2") == [
        "Contents",
        "What was run",
        "Token length",
        "Token similarity",
        "Path length",
        "Facts of the sample",
        "Methods",
        "Glossary",
        "Settings and versions",
    ]
    for study in ("token_length", "token_similarity", "path_length"):
        parts = [attributes["id"] for attributes in page.of("h3") if attributes["id"].startswith(study)]
        assert parts == [f"{study}-{part}" for part in ("findings", "figures", "claims", "tables")]
    kinds = [tag for tag, _ in page.tags]
    assert kinds.index("nav") < kinds.index("table") < kinds.index("figure")


def test_the_abstract_has_three_sentences_with_numbers(page: Page) -> None:
    (abstract,) = (text for tag, text in page.texts if tag == "p" and text.startswith("Activations of "))
    sentences = re.split(r"(?<=\.) (?=[A-Z])", abstract)
    assert len(sentences) == 3 and all(re.search(r"\d", sentence) for sentence in sentences)


def test_links_stay_within_the_page(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    links = [attributes["href"] for attributes in page.of("a")]
    inner = [link[1:] for link in links if link.startswith("#")]
    assert len(inner) > 9 and set(inner) <= set(identifiers)
    (beside,) = {link for link in links if not link.startswith(("#", "data:"))}
    assert beside == "explorer/index.html" and (page.path.parent / beside).is_file()
    assert all(attributes["src"].startswith("data:image/") for attributes in page.of("img"))
    assert not page.of("link") and not any("src" in attributes for attributes in page.of("script"))


def test_figures_are_numbered_in_order_and_have_names_to_read_aloud(page: Page, finished: Path) -> None:
    numbers = [int(number) for text in page.text("b") for number in re.findall(r"^Figure (\d+)\.", text)]
    assert numbers == list(range(1, len(numbers) + 1))
    drawn = {path.stem for path in (finished / "results").glob("*/figures/*.png")}
    shown = [attributes["id"] for attributes in page.of("figure")]
    assert set(shown) == {f"figure-{name}" for name in drawn} and len(shown) == len(numbers) == len(drawn)
    assert shown[0] == "figure-r_across_models"
    assert [attributes["alt"].partition(":")[0] for attributes in page.of("img")] == [f"Figure {n}" for n in numbers]


def test_tables_can_be_saved_from_the_page(page: Page, finished: Path) -> None:
    results = finished / "results"
    saved = {a["download"]: a["href"] for a in page.of("a") if "download" in a}
    for name, uri in saved.items():
        head, _, content = uri.partition(";base64,")
        held = b64decode(content)
        if name.endswith(".gz"):
            assert head == "data:application/gzip"
            held = gzip.decompress(held)
        study, _, table = name.removesuffix(".gz").partition("-")
        path = results / study / table if table else results / study
        assert held == path.read_bytes(), name
    tables = {path.relative_to(results) for path in results.rglob("*.csv")}
    own = {path for path in tables if path.name != "claims.csv" or path == Path("claims.csv")}
    assert len(saved) == len(own)


@pytest.mark.parametrize("study", ["tiny", "default"])
def test_the_page_is_small_enough_to_send(finished: Path, project: Path, study: str) -> None:
    report = {"tiny": finished, "default": project}[study] / "results/report.html"
    if not report.exists():
        pytest.skip("needs a finished default study: snakemake --cores 8")
    assert report.stat().st_size < 5e6


def test_every_verdict_is_there_with_its_numbers(page: Page, finished: Path) -> None:
    claims = pd.read_csv(finished / "results/claims.csv")
    found = [a for a in page.of("summary") if (a.get("class") or "").startswith("verdict")]
    assert len(found) == len(claims)
    counts = claims["verdict"].str.replace(" ", "-").value_counts().to_dict()
    assert {kind: sum(a["class"] == f"verdict {kind}" for a in found) for kind in counts} == counts
    rows = [attributes["id"] for attributes in page.of("tr") if "id" in attributes]
    assert sorted(rows) == sorted(f"claim-{name}" for name in claims["claim"].unique())
    of_sample = set(claims.loc[claims["about"] == "sample", "claim"])
    assert {row.removeprefix("claim-") for row in rows[-len(of_sample) :]} == of_sample  # after those of the studies


def test_the_script_is_the_one_that_the_page_allows(page: Page) -> None:
    (policy,) = (a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    text = page.path.read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_the_cost_is_the_sum_of_the_benchmark_files(tmp_path: Path) -> None:
    rows = {"extract/a/one": (2, 3, 10), "extract/b/one": (4, 5, 30), "summarize/a": (100, 1, 20)}
    for place, (wall, cpu, memory) in rows.items():
        path = tmp_path / f"{place}.benchmark.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{wall}\t0:00:0\t{memory}\t{cpu}\n")
    sentence, table = cost(tmp_path)
    assert "The 3 jobs that were measured took 106 s of wall time in sum and 9 s of CPU time" in sentence
    assert table.rows == [["extract", "2", "6", "8", "30"], ["summarize", "1", "100", "1", "20"]]
    assert cost(tmp_path / "extract/c") is None


@pytest.mark.parametrize("explorer", ["explorer/index.html", None])
def test_the_explorer_is_linked_where_there_is_one(tmp_path: Path, project: Path, explorer: str | None) -> None:
    settings = {"sampling": {"sequences": 2, "sequence_length": 8}, "extraction": {}}
    write_report(str(tmp_path / "report.html"), [], None, [], settings, project, explorer)
    page = Page(tmp_path / "report.html")
    links = [attributes["href"] for attributes in page.of("a")]
    assert [link for link in links if not link.startswith("#")] == ([explorer] if explorer else [])


def test_what_is_kept_is_listed_where_something_is(tmp_path: Path, project: Path) -> None:
    settings = {"sampling": {"sequences": 2, "sequence_length": 8}, "extraction": {}}
    row = {"model": "<m>", "corpus": "c", "site": "mlp_up", "kept": "stored", "layers": 3, "width": 80, "tokens": 65536}
    kept = kept_table(pd.DataFrame([{**row, "tokenizer": "t", "shards": 1, "files": "activations/<m>/c/shard_*.h5"}]))
    for table in (kept, None):
        write_report(str(tmp_path / "report.html"), [], None, [], settings, project, kept=table)
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert ("beside what the studies read" in text) == bool(table)
        assert ("<td>mlp_up</td><td>stored</td><td>3</td><td>80</td><td>65,536</td>" in text) == bool(table)
        assert "<m>" not in text


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium")
    return found


def dumped(page: Path, width: int) -> tuple[str, str]:
    """The page as Chromium builds it, and what its console says."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--window-size={width},900"]
    run = subprocess.run(
        [chromium(), *options, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout, "\n".join(line for line in run.stderr.splitlines() if "CONSOLE" in line)


SORT = """
<script>
const before = document.documentElement.scrollWidth <= innerWidth;
const table = document.querySelector("table.sortable");
table.querySelectorAll("th button")[0].click();
const names = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
document.title = JSON.stringify([before, names]);
</script>
"""


@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_it_without_errors_and_sorts_its_tables(page: Page, tmp_path: Path, width: int) -> None:
    built, console = dumped(page.path, width)
    assert console == ""
    assert '<th scope="col"><button>' in built
    text = page.path.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", text).replace("</body>", f"{SORT}</body>")
    (tmp_path / "sorted.html").write_text(text, encoding="utf-8")
    built, _ = dumped(tmp_path / "sorted.html", width)
    fits, names = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", built)[1]))
    assert fits, "the page is wider than the window"
    assert names == ["b", "a"]
