"""A job of several figures draws those that are due, and leaves the others as they are."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from planning import CONFIG, run_study

from layerscope.io.errors import place_of
from layerscope.io.tables import read_csv, write_csv
from layerscope.workflow.due_figures import draw_due_figures

DRAW = "layerscope.studies.path_length.draw"
KINDS = ("png", "pdf", "svg")
SPECS = {
    name: {
        "code": "0" * 12,
        "function": f"{DRAW}:{function}",
        "keyed": {},
        "reads": {"layers": table},
        "settings": {"token_filter": "all"},
    }
    for name, function, table in (
        ("means", "draw_mean_length", "layers"),
        ("cumulative", "draw_cumulative", "layers"),
        ("other", "draw_cumulative", "others"),
    )
}


class Drawn:
    """A folder in which three figures were drawn, the last from a table of its own."""

    def __init__(self, folder: Path, results: Path) -> None:
        self.specs = json.loads(json.dumps(SPECS))
        self.inputs = {name: str(folder / f"{name}.csv") for name in ("layers", "others")}
        self.outputs = {name: [str(folder / f"{name}.{kind}") for kind in KINDS] for name in SPECS}
        for path in self.inputs.values():
            write_csv(path, read_csv(results / "path_length/layers.csv"))
        self.folder = folder
        self.draw()

    def draw(self) -> None:
        draw_due_figures(self.specs, self.inputs, self.outputs)

    def state(self) -> dict[str, tuple[bytes, int]]:
        files = [path for path in self.folder.iterdir() if path.suffix[1:] in KINDS]
        return {path.name: (path.read_bytes(), path.stat().st_ino) for path in files}

    def changed(self, before: dict[str, tuple[bytes, int]]) -> set[str]:
        """Names of the files that were written again."""
        now = self.state()
        assert set(now) == set(before) == {Path(path).name for paths in self.outputs.values() for path in paths}
        return {name for name in now if now[name] != before[name]}


@pytest.fixture
def drawn(finished: Path, tmp_path: Path) -> Drawn:
    return Drawn(tmp_path, finished / "results")


def contents(state: dict[str, tuple[bytes, int]]) -> dict[str, bytes]:
    return {name: content for name, (content, _) in state.items()}


def of(*figures: str) -> set[str]:
    return {f"{figure}.{kind}" for figure in figures for kind in KINDS}


def setting(drawn: Drawn) -> None:
    drawn.specs["means"]["settings"]["token_filter"] = "without_first"


def code(drawn: Drawn) -> None:
    drawn.specs["cumulative"]["code"] = "1" * 12


def table(drawn: Drawn) -> None:
    layers = read_csv(drawn.inputs["layers"])
    write_csv(drawn.inputs["layers"], layers.assign(length_attn=layers["length_attn"] * 2))


def same_table(drawn: Drawn) -> None:
    write_csv(drawn.inputs["layers"], read_csv(drawn.inputs["layers"]))


@pytest.mark.parametrize(
    ("edit", "due"),
    [
        (lambda drawn: None, of()),
        (setting, of("means")),
        (code, of("cumulative")),
        (table, of("means", "cumulative")),
        (same_table, of()),
    ],
    ids=["nothing", "a setting", "code", "a table", "a table written again"],
)
def test_what_has_changed_is_drawn_again(drawn: Drawn, edit: Callable[[Drawn], None], due: set[str]) -> None:
    before = drawn.state()
    edit(drawn)
    drawn.draw()
    assert drawn.changed(before) == due
    before = drawn.state()
    drawn.draw()
    assert drawn.changed(before) == of()


@pytest.mark.parametrize("name", [f"means.{kind}" for kind in KINDS])
def test_a_missing_file_is_drawn_again_as_it_was(drawn: Drawn, name: str) -> None:
    before = drawn.state()
    (drawn.folder / name).unlink()
    drawn.draw()
    assert drawn.changed(before) <= of("means")
    assert contents(drawn.state()) == contents(before)


def test_a_table_is_read_once_and_only_for_what_is_due(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    monkeypatch.setattr("layerscope.workflow.inputs.read_csv", lambda path: (reads.append(path), read_csv(path))[1])
    for name in ("means", "cumulative"):
        drawn.specs[name]["code"] = "1" * 12
    drawn.draw()
    assert reads == [drawn.inputs["layers"]]


@pytest.mark.parametrize(
    ("pattern", "keys", "given"),
    [
        ("{model}/paths.csv", ["a", "b"], {"a": 0, "b": 1}),
        ("{model}/layer_{layer}.csv", ["a", "a", "b"], {"a": [0, 1], "b": [2]}),
        ("{model}/layer_{layer}.csv", ["a", "b"], {"a": [0], "b": [1]}),  # of models of one layer
        ("{tokenizer}/vocabulary.csv", ["mini"], {"mini": 0}),
    ],
)
def test_files_of_models_come_by_their_names(drawn: Drawn, monkeypatch, pattern: str, keys: list, given: dict) -> None:
    calls = []
    monkeypatch.setattr(f"{DRAW}.draw_cumulative", lambda outputs, **arguments: calls.append(arguments["tables"]))
    monkeypatch.setattr("layerscope.workflow.inputs.read_csv", lambda path: int(Path(path).stem))
    paths = [drawn.folder / f"{i}.csv" for i in range(len(keys))]
    for path in paths:
        path.touch()
    spec = {**drawn.specs["cumulative"], "keyed": {"tables": keys}, "reads": {"tables": pattern}, "settings": {}}
    draw_due_figures({"cumulative": spec}, {pattern: list(map(str, paths))}, drawn.outputs)
    assert calls == [given]


def test_an_error_names_the_figure_and_leaves_the_others(drawn: Drawn) -> None:
    before = drawn.state()
    for spec in drawn.specs.values():
        spec["settings"]["token_filter"] = "without_first"
    drawn.specs["cumulative"]["settings"]["unknown"] = True
    with pytest.raises(TypeError, match="unknown") as error:
        drawn.draw()
    assert place_of(error.value) == "figure cumulative"
    assert drawn.changed(before) == of("means")
    assert [path.name for path in drawn.folder.glob(".*.partial.*")] == []


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Snakemake gives all files of a job a new date; what is written again is another file."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_ino)
        for path in (folder / "results").glob("*/figures/*")
    }


def drop_first_token(folder: Path, value: bool) -> None:
    studies = {**CONFIG["studies"], "path_length": {**CONFIG["studies"]["path_length"], "drop_first_token": value}}
    (folder / "study.yaml").write_text(json.dumps({**CONFIG, "studies": studies}))


CHANGED = {f"results/path_length/figures/{name}" for name in of("path_means", "path_cumulative")}


def test_snakemake_keeps_what_is_not_due(finished: Path) -> None:
    """A setting of two figures, changed and changed back."""
    folder = finished.parent / "due_figures"
    shutil.copytree(finished, folder)
    before = state(folder)
    drop_first_token(folder, value=False)
    assert "\nlayerscope: now open results/report.html\n" in run_study(folder).stderr
    between = state(folder)
    assert {name for name in between if between[name] != before[name]} == CHANGED
    drop_first_token(folder, value=True)
    run_study(folder)
    assert contents(state(folder)) == contents(before)
    assert (folder / "results/report.html").read_bytes() == (finished / "results/report.html").read_bytes()


def test_a_job_that_failed_is_due_in_the_next_run(finished: Path) -> None:
    """Its old figures are put back; nothing but the cause of the failure is gone then."""
    folder = finished.parent / "failed_figures"
    shutil.copytree(finished, folder)
    with (folder / "src/layerscope/studies/path_length/draw.py").open("a") as module:
        module.write("\n\ndef _totals(*_):\n    return open('passing').read()\n")
    (folder / "passing").write_text("total")
    run_study(folder)
    before = state(folder)
    drop_first_token(folder, value=False)
    (folder / "passing").unlink()
    failed = run_study(folder, fails=True)
    line = "layerscope: draw_path_length: figure path_cumulative: unexpected FileNotFoundError: "
    assert line in failed.stdout + failed.stderr
    assert contents(state(folder)) == contents(before)
    (folder / "passing").write_text("total")
    run_study(folder)
    after = state(folder)
    assert {name for name in after if after[name][0] != before[name][0]} == CHANGED
    assert "Nothing to be done" in run_study(folder, "--dry-run").stdout
