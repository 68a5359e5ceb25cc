"""Checks of the sources on this machine, against the config and each other, before any job starts.

Sources on the hub are checked when they are fetched.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerscope.config.mistakes import Mistakes
from layerscope.config.sections import Corpus, CorpusStudySettings, Model
from layerscope.fetch.places import is_local
from layerscope.io.errors import UserError, at
from layerscope.model.model_config import (
    architecture,
    check_counts,
    check_layers,
    check_positions,
    check_sites,
    check_vocabulary,
    read_model_config,
)
from layerscope.model.weights import check_plain, check_weights, model_files
from layerscope.preflight.config import Config
from layerscope.studies.demand import tokenizers_of
from layerscope.tokenize.documents import corpus_files, read_documents
from layerscope.tokenize.encoding import check_document
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer
from layerscope.tokenize.tokenizer_files import check_tokenizer, tokenizer_files


@dataclass(frozen=True)
class LocalModel:
    """What the files of a local model say about it."""

    config: dict[str, Any]
    layers: int
    positions: int | None


def check_local_sources(config: Config, mistakes: Mistakes) -> dict[str, int]:
    """Open the local sources that studies and ``activations`` use, as far as that takes no time.

    Note sources that neither exist nor are a hub id, or cannot be read; models that are unusable, differ from what the
    config says, do not fit their tokenizers, or lack a site that is to be kept; and corpora and sentences that cannot
    be used. Of a corpus only the first document is read.

    Returns:
        Number of layers of each model that was opened.
    """
    for kind in ("models", "tokenizers", "corpora"):
        for name, entry in getattr(config, kind).items():
            with mistakes, at(f"{kind}.{name}.source"):
                _check_place(f"config: {kind}.{name}.source", entry.source)
    studies, demands = config.chosen().values(), config.demands()
    models = {name: model for demand in demands for name, model in demand.models.items()}
    tokenizers = _open_tokenizers(config, models, mistakes)
    opened = _open_models(models, mistakes)
    _check_models(models, opened, tokenizers, mistakes)
    _check_kept_sites(config, opened, mistakes)
    limits = {name: model.positions for name, model in opened.items() if model.positions}
    with mistakes:
        reading = [study for study in studies if issubclass(study.settings_type, CorpusStudySettings)]
        names = [name for study in reading for name in study.models]
        names += [name for kept in config.kept() for name in kept.models]
        _check_length(config.sampling.sequence_length, names, opened, limits)
    for name, readers in _tokenizers_of_corpora(config).items():
        with mistakes, at(f"corpora.{name}.source"):
            if _is_here(config.corpora[name].source):
                text = _check_corpus(name, config.corpora[name])
                for tokenizer in sorted(readers & set(tokenizers)):
                    # One that fails here would fail on the sentences for the same reason.
                    usable = tokenizers.pop(tokenizer)
                    check_document(name, usable, text)
                    tokenizers[tokenizer] = usable
    for study in studies:
        with mistakes, at(f"studies.{study.name}"):
            usable_ones = {name: tokenizers[name] for name in tokenizers_of(study.models) if name in tokenizers}
            study.check_files(usable_ones, limits, mistakes)
    return {name: model.layers for name, model in opened.items()}


def _is_here(source: str) -> bool:
    return os.path.exists(source)  # noqa: PTH110  Path.exists() raises where permissions are missing


def _check_place(key: str, source: str) -> None:
    try:
        if not is_local(source) or Path(source).exists():
            return
    except OSError as error:
        raise UserError(f"{key}: '{source}' cannot be read ({error.strerror})") from None
    raise UserError(f"{key}: '{source}' is neither a local file or folder nor a hub id (owner/name)")


def _check_readable(key: str, files: Iterable[Path]) -> None:
    """Check that files can be opened, without opening them: a pipe would block forever."""
    for file in files:
        if os.path.lexists(file) and not os.access(file, os.R_OK):
            raise UserError(f"{key}: {file} cannot be read; check its permissions or where its link points")
        if os.path.lexists(file) and not file.is_file():
            raise UserError(f"{key}: {file} is not a regular file; put one there")


@contextmanager
def _listing(key: str, source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{key}: '{source}' cannot be read ({error.strerror})") from None


def _open_tokenizers(config: Config, models: dict[str, Model], mistakes: Mistakes) -> dict[str, LoadedTokenizer]:
    """The local tokenizers of ``models``, by name."""
    loaded: dict[str, LoadedTokenizer] = {}
    for name in tokenizers_of(models):
        with mistakes, at(f"tokenizers.{name}.source"):
            if name in config.tokenizers and _is_here(config.tokenizers[name].source):
                loaded[name] = _open_tokenizer(name, config.tokenizers[name].source)
    return loaded


def _open_tokenizer(name: str, source: str) -> LoadedTokenizer:
    _check_readable(f"config: tokenizers.{name}.source", tokenizer_files(Path(source)))
    check_tokenizer(name, source, Path(source))
    return load_tokenizer({"name": name, "source": source, "commit": None, "content": None, "path": source})


def _open_models(models: dict[str, Model], mistakes: Mistakes) -> dict[str, LocalModel]:
    """The local ones of ``models`` that can be used, by name; each source is opened once."""
    opened: dict[str, LocalModel] = {}  # by source
    tried, weights_opened = set(), set()
    for name, model in models.items():
        with mistakes, at(f"models.{name}.source"):
            source = model.source
            if _is_here(source) and source not in tried:
                tried.add(source)
                opened[source] = _open_model(name, source)
            if source in opened and source not in weights_opened and model.weights == "trained":
                weights_opened.add(source)
                _open_weights(name, Path(source))
    return {name: opened[model.source] for name, model in models.items() if getattr(model, "source", None) in opened}


def _open_model(name: str, source: str) -> LocalModel:
    key = f"config: models.{name}.source"
    _check_readable(key, [Path(source, "config.json")])
    model_config = read_model_config(source)
    of = architecture(name, model_config)
    layers = of.layers(name, model_config)
    of.vocabulary(name, model_config)
    check_counts(name, model_config)
    check_plain(name, model_config)
    return LocalModel(model_config, layers, of.positions(name, model_config))


def _open_weights(name: str, folder: Path) -> None:
    key = f"config: models.{name}.source"
    with _listing(key, str(folder)):
        _check_readable(key, model_files(name, folder, "trained"))
    check_weights(name, folder)


def _check_models(
    models: dict[str, Model],
    opened: dict[str, LocalModel],
    tokenizers: dict[str, LoadedTokenizer],
    mistakes: Mistakes,
) -> None:
    """Note where the config differs from the local models."""
    for name, found in opened.items():
        with mistakes:
            check_layers(name, models[name].layers, found.config)
        with mistakes:
            tokenizer = models[name].tokenizer
            if tokenizer in tokenizers:
                check_vocabulary(name, tokenizer, tokenizers[tokenizer].largest, found.config)


def _check_kept_sites(config: Config, opened: dict[str, LocalModel], mistakes: Mistakes) -> None:
    """Note sites that are to be kept of a local model which lacks them."""
    for number, entry in enumerate(getattr(config, "activations", ())):
        for kind in ("store", "summarize"):
            for name in getattr(entry, "models", ()):
                with mistakes:
                    if name in opened:
                        key = f"config: activations.{number}.{kind}"
                        check_sites(key, name, getattr(entry, kind), opened[name].config)


def _check_length(
    sequence_length: int, names: Iterable[str], opened: dict[str, LocalModel], limits: dict[str, int]
) -> None:
    """Check the length of the sequences against the model with the fewest positions."""
    shortest = min((name for name in names if name in limits), key=limits.__getitem__, default=None)
    if shortest:
        check_positions(shortest, sequence_length, opened[shortest].config)


def _tokenizers_of_corpora(config: Config) -> dict[str, set[str]]:
    """Names of the corpora that are read, each with the names of the tokenizers that read it."""
    found: dict[str, set[str]] = {}
    for demand in config.demands():
        if (name := getattr(demand, "corpus", None)) and name in config.corpora:
            found.setdefault(name, set()).update(tokenizers_of(demand.models))
    return found


def _check_corpus(name: str, corpus: Corpus) -> str:
    """The first document with text; "" for JSON that is not in lines, which can only be read as a whole."""
    source = corpus.source
    key = f"config: corpora.{name}.source"
    with _listing(key, source):
        files = corpus_files(source)
    _check_readable(key, files)
    if files[0].suffix == ".json":
        return ""
    document = next(read_documents(name, source, corpus.text_field), None)
    if document is None:
        raise UserError(f"corpus {name}: {source} contains no documents with text")
    return document[1]
