"""Folders where a file of the results should be, in an empty project."""

import re
import time
from pathlib import Path

import pytest

from layerscope.io.errors import UserError
from layerscope.workflow.misplaced import check_no_folders


class Rule:
    """In the place of a rule of Snakemake."""

    def __init__(self, *files: str, of_folders: bool = False) -> None:
        self.files, self.of_folders = files, of_folders

    def products(self) -> list:
        class Pattern(str):
            is_directory = self.of_folders

            def match(self, target: str) -> bool:
                return bool(re.fullmatch(re.escape(self).replace(r"\{", "(?P<").replace(r"\}", ">.+)"), target))

        return [Pattern(file) for file in self.files]


RULES = [Rule("results/report.html", "results/logs/report.log"), Rule("results/a/{model}/shard_{shard}.h5")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "place",
    ["results/report.html", "results/logs/report.log", "results/a/tiny/shard_0001.h5", "results/a/b c/shard_0001.h5"],
)
def test_folder_is_named_with_a_command_that_removes_it(place: str) -> None:
    Path(place, "with", "files").mkdir(parents=True)
    quoted = f"'{place}'" if " " in place else place
    with pytest.raises(UserError) as error:
        check_no_folders(RULES, "results")
    assert str(error.value) == (
        f"{place}: a folder where a file should be; move it away, or delete it and run again (rm -r {quoted})"
    )


def test_folder_that_a_rule_writes_is_in_its_place() -> None:
    Path("results/tokens/mini").mkdir(parents=True)
    check_no_folders([*RULES, Rule("results/tokens/{tokenizer}", of_folders=True)], "results")
    with pytest.raises(UserError, match=r"^results/tokens/mini: a folder where a file should be"):
        check_no_folders([Rule("results/tokens/{tokenizer}")], "results")


def test_many_are_counted() -> None:
    for shard in range(8):
        Path(f"results/a/tiny/shard_{shard}.h5").mkdir(parents=True)
    with pytest.raises(UserError) as error:
        check_no_folders(RULES, "results")
    *lines, last = str(error.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"results/a/tiny/shard_{shard}.h5" for shard in range(5)]
    assert last == "and 3 more such folders"


def test_folder_below_a_link(folder: Path) -> None:
    (folder / "disk/tiny/shard_1.h5").mkdir(parents=True)
    (folder / "results").mkdir()
    (folder / "results/a").symlink_to("../disk")
    with pytest.raises(UserError, match=r"^results/a/tiny/shard_1\.h5: a folder where a file should be; "):
        check_no_folders(RULES, "results")


def test_links_to_themselves_end(folder: Path) -> None:
    Path("results/a").mkdir(parents=True)
    Path("results/a/again").symlink_to("..")
    check_no_folders(RULES, "results")


def test_many_files_take_no_time() -> None:
    Path("results/a/tiny").mkdir(parents=True)
    for shard in range(10_000):
        Path(f"results/a/tiny/shard_{shard}.h5").touch()
    start = time.perf_counter()
    check_no_folders(RULES, "results")
    assert time.perf_counter() - start < 1


def test_nothing_was_made_yet() -> None:
    check_no_folders(RULES, "results")
