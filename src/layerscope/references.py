"""What the keys of the config say of each other."""

from collections.abc import Collection
from itertools import product
from typing import TYPE_CHECKING

from layerscope.errors import UserError
from layerscope.mistakes import Mistakes

if TYPE_CHECKING:
    from layerscope.config import Config, Sampling, Study

MOST_SHARDS = 10_000  # their files have four digits
TABLES = (".csv", ".parquet")  # of all models together, beside the folders of the models


def check_references(config: "Config", mistakes: Mistakes) -> None:
    """Note names that are not there or collide, and settings that do not fit each other."""
    with mistakes:
        _check_shards(config.sampling)
    for name, model in config.models.items():
        with mistakes:
            _check_name(name)
        with mistakes:
            _check_known(model.tokenizer, config.tokenizers, f"models.{name}.tokenizer", "tokenizers")
    with mistakes:
        names = list(type(config.studies).model_fields)
        if not any([getattr(config.studies, name) for name in names]):
            raise UserError(f"config: studies: no study is named; allowed are {', '.join(names)}")
    for name, study in config.studies.run().items():
        _check_study(f"studies.{name}", study, config, mistakes)


def check_layers_exist(config: "Config", found: dict[str, int], mistakes: Mistakes) -> None:
    """Note chosen layers that a model of the study does not have.

    Args:
        found: number of layers of each model that was opened; the config may say another.
    """
    for key, study in config.studies.run().items():
        for setting in ("histogram_layer", "matrix_layer"):
            with mistakes:
                layers = {name: found.get(name) or config.models[name].layers for name in config.models_of(study)}
                fewest = min(layers, key=layers.__getitem__, default="")
                layer = getattr(study, setting, None)
                if layer is not None and layers and layer >= layers[fewest]:
                    raise UserError(
                        f"config: studies.{key}.{setting}: {layer} is not a layer of {fewest}; allowed are 0 to "
                        f"{layers[fewest] - 1}"
                    )


def _check_shards(sampling: "Sampling") -> None:
    sequences, size = sampling.sequences, sampling.sequences_per_shard
    if sequences % size:
        raise UserError(
            f"config: sampling.sequences: {sequences} is not a multiple of sequences_per_shard ({size}); "
            f"{-(-sequences // size) * size} would be"
        )
    if sampling.shards > MOST_SHARDS:
        raise UserError(
            f"config: sampling.sequences_per_shard: {size} makes {sampling.shards} shards of {sequences} sequences; "
            f"at most {MOST_SHARDS} are allowed, so write at least {-(-sequences // MOST_SHARDS)}"
        )


def _check_name(model: str) -> None:
    if model.endswith(TABLES):
        raise UserError(f"config: models: the name '{model}' may be that of a table; choose one that ends otherwise")


def _check_study(key: str, study: "Study", config: "Config", mistakes: Mistakes) -> None:
    with mistakes:
        if len(set(study.models)) != len(study.models):
            raise UserError(f"config: {key}.models: {study.models} names a model twice; name each once")
    names = getattr(study, "models", [])
    for name in names:
        with mistakes:
            _check_known(name, config.models, f"{key}.models", "models")
    if hasattr(study, "corpus"):
        with mistakes:
            _check_known(study.corpus, config.corpora, f"{key}.corpus", "corpora")
    with mistakes:
        _check_figures(key, study, config.models)
    if len(set(names)) == len(config.models_of(study)) == len(names):  # else a pair may be right, and the list wrong
        for pair in getattr(study, "pairs", None) or ():
            with mistakes:
                _check_pair(f"{key}.pairs", pair, names, config)


def _check_known(name: str, table: Collection[str], key: str, table_key: str) -> None:
    if name not in table:
        raise UserError(f"config: {key}: '{name}' is not in {table_key}; allowed are {', '.join(table)}")


def _check_figures(key: str, study: "Study", models: Collection[str]) -> None:
    """A file can be asked for by the figure's name and the model's together: they must tell one figure."""
    owners: dict[str, str] = {}
    for figure, model in product(study.figures, models):
        file = f"{figure}_{model}"
        other = owners.setdefault(file, model)
        if other != model and not {model, other}.isdisjoint(study.models):
            raise UserError(
                f"config: {key}.models: '{other}' and '{model}' would share the figure {file}; rename one of them in "
                "models"
            )


def _check_pair(key: str, pair: list[str], names: list[str], config: "Config") -> None:
    for name in pair:
        if name not in names:
            raise UserError(f"config: {key}: '{name}' is not in the study's models; allowed are {', '.join(names)}")
    if pair[0] == pair[1]:
        raise UserError(f"config: {key}: '{pair[0]}' is paired with itself; name two models")
    one, other = (config.models[name].tokenizer for name in pair)
    if one != other and one in config.tokenizers and other in config.tokenizers:
        raise UserError(
            f"config: {key}: {pair[0]} and {pair[1]} read different tokens (tokenizers {one} and {other}); pair models "
            "with one tokenizer"
        )
