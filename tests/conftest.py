"""Fixtures that several test files use."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from planning import finish_study
from project import snakemake

# No test reaches a real hub: those that need one start a stand-in on loopback.
os.environ.setdefault("HF_ENDPOINT", "http://127.0.0.1:9")

PROJECT = Path(__file__).parents[1]


QUARTER = "LAYERSCOPE_QUARTER"  # 0 to 3: of the slow tests, every fourth alone


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out three quarters of the slow tests, if the environment says so, as CI does: another quarter every day."""
    if QUARTER not in os.environ:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    left_out = set(slow) - set(slow[int(os.environ[QUARTER]) :: 4])
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real FineWeb text and the GPT-2 tokenizer, where they are beside the project."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data (FineWeb sample, GPT-2 tokenizer), which is not beside the project")
    return folder


@pytest.fixture(scope="session")
def mini_tokenizer() -> dict:
    """The record of the embedded tokenizer."""
    path = PROJECT / "resources/tokenizers/mini"
    return {"name": "mini", "source": str(path), "commit": None, "content": None, "path": str(path)}


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A copy of the project with a tiny study in which everything was run; not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one for the processes of all tests
        shared = shared.parent
    folder = shared / "reruns/finished"
    with FileLock(shared / "finished.lock"):
        if not folder.exists():
            finish_study(shared / "reruns/unfinished")
            (shared / "reruns/unfinished").rename(folder)
    return folder


@pytest.fixture(scope="session")
def default_results(project: Path) -> Path:
    """Results of the default study, where they are of the code and the settings that are here; not to be changed."""
    if not (project / "results/report.html").exists():
        pytest.skip("needs a finished default study: snakemake --cores 8")
    plan = snakemake(project, "--dry-run")
    if "Nothing to be done" not in plan.stdout + plan.stderr:  # a change of either leaves jobs to run
        pytest.skip("results/ are not those of the default study as it is here: snakemake --cores 8")
    return project / "results"
