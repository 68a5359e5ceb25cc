"""Which models are revisions of one model, and the order they are in."""

from pathlib import Path

import pytest

from layerscope.config.sections import Model
from layerscope.studies.revisions import series_of, training_step
from layerscope.studies.token_length.study import TokenLengthSettings


def model(revision: str | None, source: str = "acme/pythia-160m", **changes: object) -> Model:
    return Model.model_validate({"source": source, "revision": revision, "tokenizer": "mini", "layers": 2, **changes})


@pytest.mark.parametrize(
    ("revision", "step"),
    [
        ("step0", 0),
        ("step1000", 1000),
        ("step143000", 143_000),
        ("ckpt-2000", 2000),
        ("checkpoint-500", 500),
        ("global_step77", 77),
        ("iter_0005000", 5000),
        ("stage1-step5000-tokens21B", 5000),
        ("stage2-ingredient1-step11931-tokens50B", 11_931),
        ("Step_12", 12),
        ("step-100", 100),
        ("1000", 1000),
        ("1234567", 1_234_567),
        ("main", None),
        (None, None),
        ("v1.0", None),
        ("v2", None),
        ("epoch3", None),
        ("tokens21B", None),
        ("2024-05-01", None),
        ("step", None),
        ("stepping-2", None),
        ("timestep5", None),
        ("step10k", None),
        ("step1.5", None),
        ("a3f9c1d", None),
        ("0123456789abcdef0123456789abcdef01234567", None),
        ("0123456789012345678901234567890123456789", None),  # a hash without letters
    ],
)
def test_the_training_step_that_a_name_holds(revision: str | None, step: int | None) -> None:
    assert training_step(revision) == step


def test_revisions_are_in_the_order_of_their_steps_not_of_the_config() -> None:
    names = {"late": "step10000", "first": "step0", "early": "step900"}
    [series] = series_of({name: model(revision) for name, revision in names.items()})
    assert series == {
        "name": "pythia-160m",
        "models": ["first", "early", "late"],
        "revisions": ["step0", "step900", "step10000"],
        "steps": [0, 900, 10_000],
    }


def test_without_steps_the_order_is_that_of_the_config() -> None:
    revisions = ["v2", None, "a3f9c1d", "v1"]
    [series] = series_of({f"m{i}": model(revision) for i, revision in enumerate(revisions)})
    assert series["models"] == ["m0", "m1", "m2", "m3"]
    assert (series["steps"], series["revisions"]) == (None, ["v2", "newest", "a3f9c1d", "v1"])


@pytest.mark.parametrize(
    "other",
    [
        model("step3", weights="random"),
        model("step3", source="acme/pythia-410m"),
        model("step3", layers=3),
        model("step3", tokenizer="other"),
        model("main"),
        model(None),
        model("stage2-step3"),
    ],
    ids=["a control", "a source", "layers", "a tokenizer", "main", "the newest", "a stage"],
)
def test_what_differs_in_more_than_its_step_is_no_part(other: Model) -> None:
    models = {"late": model("step20"), "other": other, "early": model("step1")}
    assert [series["models"] for series in series_of(models)] == [["early", "late"]]


def test_one_revision_is_no_series() -> None:
    assert series_of({"one": model("step1"), "other": model("step1", source="acme/other")}) == []
    assert series_of({"one": model("step1"), "same": model("step1")}) == []
    assert series_of({"one": model("step1"), "newest": model("main")}) == []


def test_stages_of_training_are_series_of_their_own() -> None:
    revisions = ["stage2-step10-tokens1B", "stage1-step500", "stage2-step20-tokens2B", "stage1-step60"]
    found = series_of({f"m{i}": model(revision) for i, revision in enumerate(revisions)})
    assert [(series["name"], series["models"]) for series in found] == [
        ("pythia-160m stage2", ["m0", "m2"]),
        ("pythia-160m stage1", ["m3", "m1"]),
    ]


def test_local_checkpoints_of_one_folder_are_a_series(tmp_path: Path) -> None:
    run, other = tmp_path / "my-run", tmp_path / "other-run"
    for folder in (run / "checkpoint-1000", run / "checkpoint-200", run / "final", other / "checkpoint-200"):
        folder.mkdir(parents=True)
    paths = (run / "checkpoint-1000", run / "final", other / "checkpoint-200", run / "checkpoint-200")
    [series] = series_of({f"m{i}": model(None, source=str(path)) for i, path in enumerate(paths)})
    assert (series["name"], series["models"], series["steps"]) == ("my-run", ["m3", "m0"], [200, 1000])


def test_local_folders_without_steps_are_none(tmp_path: Path) -> None:
    for name in ("neo-2m", "neo-8m"):
        (tmp_path / name).mkdir()
    # A local source has no revisions, whatever the config says.
    assert series_of({n: model(n, source=str(tmp_path / n)) for n in ("neo-2m", "neo-8m")}) == []
    assert series_of({r: model(r, source=str(tmp_path / "neo-2m")) for r in ("step1", "step2")}) == []


def test_revisions_are_paired_with_the_last_and_the_last_with_the_next_model() -> None:
    models = {
        "large": model(None, source="acme/large", layers=5),
        "late": model("step20"),
        "early": model("step1"),
        "middle": model("step9"),
        "control": model("step20", weights="random"),
        "small": model(None, source="acme/small", layers=1),
    }
    settings = TokenLengthSettings.model_validate({"models": list(models), "corpus": "embedded"})
    assert settings.filled_in(models).pairs == [
        ["small", "late"],
        ["late", "large"],
        ["early", "late"],
        ["middle", "late"],
    ]
