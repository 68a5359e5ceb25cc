"""Checks of the keys of the config against each other."""

from collections.abc import Collection
from itertools import product

from layerscope.config.mistakes import Mistakes
from layerscope.config.sections import Sampling
from layerscope.io.errors import UserError
from layerscope.preflight.config import Config
from layerscope.studies.registry import STUDIES
from layerscope.studies.study import Study

MOST_SHARDS = 10_000  # their numbers have four digits
TABLES = (".csv", ".parquet")  # tables of all models are stored beside the folders of the models


def check_references(config: Config, mistakes: Mistakes) -> None:
    """Note names that are missing or collide, and settings that do not fit together."""
    with mistakes:
        _check_shards(config.sampling)
    with mistakes:
        if config.sampling.stored_sequences or config.sampling.stored_sequences_per_shard:
            _check_stored(config.sampling)
    for name, model in config.models.items():
        with mistakes:
            _check_name(name)
        with mistakes:
            _check_known(model.tokenizer, config.tokenizers, f"models.{name}.tokenizer", "tokenizers")
    with mistakes:
        if not any([getattr(config.studies, name) for name in STUDIES]) and not config.activations:
            raise UserError(
                f"config: studies: no study is named; allowed are {', '.join(STUDIES)}, or none of them with sites "
                "under activations"
            )
    for study in config.chosen().values():
        _check_study(study, config, mistakes)
    _check_kept(config, mistakes)


def check_layers_exist(config: Config, found: dict[str, int], mistakes: Mistakes) -> None:
    """Note chosen layers that some model of the study does not have.

    Args:
        found: number of layers of each model that was opened; the config may state a wrong one.
    """
    for name, study in config.chosen().items():
        for setting in study.settings_type.chosen_layers:
            with mistakes:
                layers = {model: found.get(model) or config.models[model].layers for model in study.models}
                fewest = min(layers, key=layers.__getitem__, default="")
                layer = getattr(study.settings, setting, None)
                if layer is not None and layers and layer >= layers[fewest]:
                    raise UserError(
                        f"config: studies.{name}.{setting}: {layer} is not a layer of {fewest}; allowed are 0 to "
                        f"{layers[fewest] - 1}"
                    )


def _check_shards(sampling: Sampling) -> None:
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


def _check_stored(sampling: Sampling) -> None:
    stored, part = sampling.stored, sampling.stored_per_shard
    if stored > sampling.sequences:
        raise UserError(
            f"config: sampling.stored_sequences: {stored} is more than sampling.sequences ({sampling.sequences}); "
            "write at most that"
        )
    if sampling.sequences_per_shard % part:
        raise UserError(
            f"config: sampling.stored_sequences_per_shard: {part} is not a divisor of sequences_per_shard "
            f"({sampling.sequences_per_shard})"
        )
    if stored % part:
        raise UserError(
            f"config: sampling.stored_sequences: {stored} is not a multiple of stored_sequences_per_shard ({part}); "
            f"{-(-stored // part) * part} would be"
        )
    if sampling.stored_shards > MOST_SHARDS:
        raise UserError(
            f"config: sampling.stored_sequences_per_shard: {part} makes {sampling.stored_shards} shards of {stored} "
            f"sequences; at most {MOST_SHARDS} are allowed, so write at least {-(-stored // MOST_SHARDS)}"
        )


def _check_name(model: str) -> None:
    if model.endswith(TABLES):
        raise UserError(
            f"config: models: the name '{model}' could be mistaken for a table; choose one that does not end in "
            f"{' or '.join(TABLES)}"
        )


def _check_study(study: Study, config: Config, mistakes: Mistakes) -> None:
    key, settings = f"studies.{study.name}", study.settings
    with mistakes:
        if len(set(settings.models)) != len(settings.models):
            raise UserError(f"config: {key}.models: {settings.models} names a model twice; name each once")
    for name in getattr(settings, "models", []):
        with mistakes:
            _check_known(name, config.models, f"{key}.models", "models")
    with mistakes:
        if study.corpus is not None:
            _check_known(study.corpus, config.corpora, f"{key}.corpus", "corpora")
    with mistakes:
        study.check_settings(config.tokenizers, mistakes)


def _check_kept(config: Config, mistakes: Mistakes) -> None:
    """Note names that are missing, entries that keep nothing, and what two entries keep."""
    first: dict[tuple[str, str, str, str], int] = {}  # kind, site, model and corpus → entry
    for number, entry in enumerate(getattr(config, "activations", ())):
        key = f"activations.{number}"
        for name in getattr(entry, "models", ()):
            with mistakes:
                _check_known(name, config.models, f"{key}.models", "models")
        with mistakes:
            _check_known(entry.corpus, config.corpora, f"{key}.corpus", "corpora")
        with mistakes:
            if not entry.store and not entry.summarize:
                raise UserError(f"config: {key}: keeps nothing; name sites under store or summarize")
        for kind in ("store", "summarize"):
            with mistakes:
                for place in product((kind,), getattr(entry, kind), entry.models, (entry.corpus,)):
                    if first.setdefault(place, number) != number:
                        _, site, model, corpus = place
                        raise UserError(
                            f"config: {key}.{kind}: '{site}' of {model} on {corpus} is in activations.{first[place]} "
                            "too; name it once"
                        )


def _check_known(name: str, table: Collection[str], key: str, table_key: str) -> None:
    if name not in table:
        raise UserError(f"config: {key}: '{name}' is not in {table_key}; allowed are {', '.join(table)}")
