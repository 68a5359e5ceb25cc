"""The report holds whole figures: one that is damaged is named, with the command that makes it anew."""

import shlex
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from zlib import crc32

import matplotlib.pyplot as plt
import pytest
from PIL import Image
from planning import run_study

from layerscope.io.errors import UserError
from layerscope.plotting import figure
from layerscope.report.section import Figure, load_figure

TITLES = {"lengths": "lengths of lines"}


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """A figure as the jobs draw it, and small."""
    (tmp_path / "lengths.rst").write_text("Of lengths.")
    paths = [str(tmp_path / f"lengths.{kind}") for kind in ("png", "svg")]
    with figure(paths, 0.5, 0.3) as drawn, plt.rc_context({"axes.spines.left": False}):
        drawn.text(0, 0, "x")
    return Path(paths[0])


def load(png: Path) -> Figure:
    return load_figure(str(png), png.parent, png.parent, TITLES)


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
    assert shown.width == 48  # of an inch has 96 pixels


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
