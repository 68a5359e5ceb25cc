"""What the report says of revisions of one model."""

from collections.abc import Iterable

from layerscope.studies.series import Series


def sentences(series: Iterable[Series]) -> list[str]:
    """Which models are revisions of one, and what the axis is along which figures lay them out."""
    return [_sentence(one) for one in series]


def _sentence(series: Series) -> str:
    names, count = ", ".join(series["models"]), len(series["models"])
    if series["steps"] is None:
        return f"{count} of the models are revisions of {series['name']}, in the order of the config: {names}."
    first, last = series["steps"][0], series["steps"][-1]
    return (
        f"{count} of the models are revisions of {series['name']}; figures lay them out along the training step, from "
        f"{first:,} to {last:,}: {names}."
    )


def summed_up(models: Iterable[str], series: Iterable[Series]) -> list[str]:
    """Names of ``models``, with revisions of one model as one."""
    together = {model: f"{len(one['models'])} revisions of {one['name']}" for one in series for model in one["models"]}
    return list(dict.fromkeys(together.get(model, model) for model in models))
