"""What the catalogue of Snakemake workflows and the site of the repository read."""

import re
from pathlib import Path

import pytest
import yaml
from project import PROJECT, copy_project, snakemake

# Jobs that only sources on the hub have, and the setting in whose place the small study has another.
ELSEWHERE = {"estimate", "fetch_documents", "reduce_paths"}
FORMS = sorted(path for path in (PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def test_small_study_has_every_job(tmp_path: Path) -> None:
    copy_project(tmp_path)
    plan = snakemake(tmp_path, "--directory", ".test", "--dry-run")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    jobs = plan.stdout.split("Job stats:")[1].split("total")[0]
    rules = {re.sub("_layers_.*|_of_pairs", "", rule) for rule in re.findall(r"^(\w+) +\d+$", jobs, re.MULTILINE)}
    scripts = {path.stem for path in (PROJECT / "workflow/scripts").glob("*.py")}
    assert scripts - rules - {"draw"} == ELSEWHERE
    assert {f"draw_{study}" for study in ("token_length", "path_length")} <= rules


def test_small_study_is_planned_from_its_own_folder(tmp_path: Path) -> None:
    copy_project(tmp_path)
    plan = snakemake(tmp_path / ".test", "--dry-run")
    assert plan.returncode == 0, plan.stdout + plan.stderr


def test_catalogue_entry_says_how_packages_come() -> None:
    usage = yaml.safe_load((PROJECT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    rules = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "workflow/rules").glob("*.smk"))
    deployment = usage["software-stack-deployment"]
    assert deployment["conda"] == ("conda:" in rules) and deployment["apptainer"] == ("container:" in rules)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_form_is_one_that_can_be_shown(form: Path) -> None:
    """A form with a mistake is left out without a word."""
    shown = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(shown) <= {"name", "description", "title", "labels", "body"}
    assert {part["type"] for part in shown["body"]} <= KINDS
    asked = [part for part in shown["body"] if part["type"] != "markdown"]
    assert asked and len({part["id"] for part in asked}) == len(asked)
    assert all(part["attributes"]["label"] for part in asked)
    assert all(part["attributes"]["options"] for part in asked if part["type"] in ("dropdown", "checkboxes"))
