"""Load a configuration, with all checks that come before any job."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from layerscope.config.duplicated_keys import duplicated_keys
from layerscope.config.mistakes import Mistakes
from layerscope.config.problems import line_of, what_is_left
from layerscope.io.errors import at
from layerscope.preflight.config import Config
from layerscope.preflight.local_sources import check_local_sources
from layerscope.preflight.property_tables import check_properties
from layerscope.preflight.references import check_layers_exist, check_references


def load_config(raw: dict[str, Any], files: Iterable[str | Path] = ()) -> Config:
    """Validate the merged configuration, and fill in defaults that follow from the models.

    Args:
        files: the files it was read from, to find duplicated keys: YAML silently takes the last one.

    Raises:
        UserError: one line per mistake that can be found before any job, with the key, its value and what is allowed.
    """
    mistakes = Mistakes()
    files = list(files)
    for file in files:
        with at(file):
            mistakes.add(*duplicated_keys(file))
    try:
        with at(", ".join(map(str, files))):
            config = Config.model_validate(raw)
    except ValidationError as error:
        problems = error.errors()
        mistakes.add(*(line_of(problem, Config) for problem in problems))
        config = what_is_left(Config, raw, {problem["loc"] for problem in problems})
    check_references(config, mistakes)
    check_properties(config, mistakes)
    layers = check_local_sources(config, mistakes)
    check_layers_exist(config, layers, mistakes)
    mistakes.raise_all()
    return _filled_in(config)


def _filled_in(config: Config) -> Config:
    """The configuration, with omitted settings that follow from others."""
    filled = {name: study.settings.filled_in(study.models) for name, study in config.chosen().items()}
    studies = config.studies.model_copy(update=filled)
    return config.model_copy(update={"studies": studies, "sampling": config.sampling.filled_in()})
