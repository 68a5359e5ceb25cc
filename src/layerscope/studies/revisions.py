"""Revisions of one model side by side: which entries of the config are such, and the order of training they are in."""

import re
from collections.abc import Mapping
from pathlib import Path

from layerscope.config.sections import Model
from layerscope.fetch.places import is_local
from layerscope.studies.series import Series

# A word for what is counted, and the number after it: step1000, ckpt-2000, iter_0005000, stage1-step5000-tokens21B.
STEP = re.compile(
    r"(?<![a-z])(?:step|steps|iter|iters|iteration|ckpt|checkpoint)[-_=.]?(\d{1,15})(?![a-z0-9]|\.\d)", re.I
)
NUMBER = re.compile(r"(\d{1,15})")  # and nothing else
NEWEST = "newest"  # what a hub id without a revision stands for


def training_step(revision: str | None) -> int | None:
    """The training step that a revision's name holds.

    That is the number right after ``step``, ``iter``, ``iteration``, ``ckpt`` or ``checkpoint``, of the first such
    word, or the whole name if it is a number. None of ``main``, of commit hashes, and of other names: numbers of
    tokens, epochs and versions are no steps.
    """
    return _split(revision)[1]


def _split(revision: str | None) -> tuple[str, int | None]:
    """What stands before the step in a revision's name, and the step."""
    if found := NUMBER.fullmatch(revision or "") or STEP.search(revision or ""):
        return found.string[: found.start()], int(found[1])
    return "", None


def series_of(models: Mapping[str, Model]) -> list[Series]:
    """The series among ``models``, in the order of their first entries; a model in none of them is one of its own.

    A series has two or more trained entries with one source, tokenizer and number of layers, at different revisions.
    Where revisions hold steps, a series has those with the same text before the step, by step: those of two stages of
    training are two series, and an entry without a step (``main``) is in none. Where no revision of a source holds a
    step, the order is that of the config. Local folders have no revisions; in their place are the names of folders
    within one folder, if they hold steps.
    """
    trained = {name: model for name, model in models.items() if model.weights == "trained"}
    places = {name: _place(model) for name, model in trained.items()}
    groups: dict[tuple, list[str]] = {}
    for name, model in trained.items():
        groups.setdefault((places[name][0], model.tokenizer, model.layers), []).append(name)
    found = []
    for (source, *_), names in groups.items():
        split = {name: _split(places[name][1]) for name in names}
        with_step = [name for name in names if split[name][1] is not None]
        for before in dict.fromkeys(split[name][0] for name in with_step or names):
            members = [name for name in with_step or names if split[name][0] == before]
            members.sort(key=lambda name: split[name][1] or 0)  # those without steps stay in their order
            steps = [step for name in members if (step := split[name][1]) is not None]
            revisions = [places[name][1] or NEWEST for name in members]
            if len(set(revisions)) > 1:
                stage = before.strip("-_./")
                title = " ".join(filter(None, [Path(source).name, stage]))
                found.append(Series(name=title, models=members, revisions=revisions, steps=steps or None))
    return sorted(found, key=lambda series: min(list(models).index(name) for name in series["models"]))


def _place(model: Model) -> tuple[str, str | None]:
    """What all revisions of a model share, and the revision."""
    if not is_local(model.source):
        return model.source, model.revision
    folder = Path(model.source)
    if training_step(folder.name) is None:
        return model.source, None
    return str(folder.parent), folder.name
