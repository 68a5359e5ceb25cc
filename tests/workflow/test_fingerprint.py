"""The fingerprint of a script follows the code that it runs, and nothing else."""

import shutil
from pathlib import Path

import pytest

from layerscope.workflow import fingerprint

MODULES = {
    "script.py": '"""What the script does."""\nfrom package.used import f\n\nprint(f(1))\n',
    "package/__init__.py": '"""A package."""\n',
    "package/used.py": (
        "from typing import TYPE_CHECKING\n\nfrom package import deep\n\n"
        'if TYPE_CHECKING:\n    from package import types\n\n\ndef f(x):\n    """Docstring."""\n'
        "    import package.lazy  # costly\n\n    return deep.g(x) + 1\n"
    ),
    "package/deep.py": "import package.folder.inner\nfrom .folder import beside\n\n\ndef g(x):\n    return x\n",
    "package/lazy.py": "L = 1\n",
    "package/folder/__init__.py": "from ..base import B\n",
    "package/folder/inner.py": "I = 1\n",
    "package/folder/beside.py": "S = 1\n",
    "package/base.py": "B = 1\n",
    "package/types.py": "T = 1\n",
    "package/unrelated.py": "import package.deep\n\nU = 1\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """A small package and a script that uses it."""
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(fingerprint, "PACKAGE", tmp_path / "package")
    return tmp_path


def fingerprint_of(script: Path) -> str:
    fingerprint._syntax.cache_clear()  # within one run of Snakemake no file changes
    return fingerprint.code_fingerprint(script)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("script.py", "What the script does", "Another docstring"),
        ("package/__init__.py", '"""A package."""\n', ""),
        ("package/used.py", '"""Docstring."""', '"""Other words,\n\n    on two lines."""'),
        ("package/used.py", "  # costly", "  # two seconds"),
        ("package/used.py", "deep.g(x) + 1", "(\n        deep.g(  x  )\n        + 1\n    )"),
        ("package/deep.py", "return x", "# as it is\n    return x"),
        ("package/types.py", "T = 1", "T = 2"),
        ("package/unrelated.py", "U = 1", "U = 2"),
    ],
)
def test_what_cannot_change_a_result_changes_no_fingerprint(tree, name, old, new):
    before = fingerprint_of(tree / "script.py")
    path = tree / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert fingerprint_of(tree / "script.py") == before


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"package/types.py", "package/unrelated.py"}))
def test_code_that_the_script_runs_changes_it(tree, name):
    before = fingerprint_of(tree / "script.py")
    with (tree / name).open("a") as file:
        file.write("changed = True\n")
    assert fingerprint_of(tree / "script.py") != before


def test_it_is_the_same_in_another_place(tree, tmp_path_factory, monkeypatch):
    before = fingerprint_of(tree / "script.py")
    copy = tmp_path_factory.mktemp("elsewhere") / "checkout"
    shutil.copytree(tree, copy)
    monkeypatch.setattr(fingerprint, "PACKAGE", copy / "package")
    assert fingerprint_of(copy / "script.py") == before


def test_a_script_is_not_mistaken_for_a_module_of_its_name(tree):
    shutil.copy(tree / "script.py", tree / "base.py")
    before = fingerprint_of(tree / "base.py")
    (tree / "package/base.py").write_text("B = 2\n")
    assert fingerprint_of(tree / "base.py") != before


@pytest.mark.parametrize(
    ("module", "scripts"),
    [
        ("studies/token_length/draw_distribution.py", set()),
        ("studies/token_length/correlate_layer.py", {"correlate_token_length"}),
        ("stats/correlation.py", {"correlate_token_length"}),
        ("model/hooks.py", {"extract"}),
        ("tokenize/packing.py", {"tokenize"}),
        ("tokenize/encoding.py", set()),  # token shards are cut from what other jobs encode
    ],
)
def test_an_edit_of_this_package_reruns_the_jobs_that_it_concerns(project, tmp_path, monkeypatch, module, scripts):
    package = tmp_path / "layerscope"
    shutil.copytree(project / "src/layerscope", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", package)
    names = ("tokenize", "extract", "correlate_token_length", "draw")
    paths = {name: project / f"workflow/scripts/{name}.py" for name in names}
    before = {name: fingerprint_of(path) for name, path in paths.items()}
    with (package / module).open("a") as file:
        file.write("changed = True\n")
    assert {name for name, path in paths.items() if fingerprint_of(path) != before[name]} == scripts


def test_a_function_that_is_called_by_its_name_is_part_of_it(project):
    draw = project / "workflow/scripts/draw.py"
    functions = ("token_length.draw_r:draw_r_spread", "path_length.draw:draw_lengths")
    files = [fingerprint.module_file(f"layerscope.studies.{function}") for function in functions]
    assert all(file.is_file() for file in files)
    assert len({fingerprint.code_fingerprint(draw, *chosen) for chosen in ([], files[:1], files[1:], files)}) == 4


def test_reading_of_results_is_part_of_no_job(tmp_path, monkeypatch, project):
    """Though every job imports the package that names it."""
    package = tmp_path / "layerscope"
    shutil.copytree(project / "src/layerscope", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", package)
    scripts = sorted((project / "workflow/scripts").glob("*.py"))
    fingerprint._syntax.cache_clear()
    before = fingerprint.code_fingerprint(*scripts)
    with (package / "read/run.py").open("a") as file:
        file.write("changed = True\n")
    fingerprint._syntax.cache_clear()
    assert fingerprint.code_fingerprint(*scripts) == before
