"""What is known before any job starts: the sources on this machine, held against the config and each other.

What is on the hub is held against it when it is fetched.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerscope.errors import UserError
from layerscope.extract.architectures import architecture_of
from layerscope.planning import at
from layerscope.sources import (
    WEIGHTS,
    check_layers,
    check_positions,
    check_safetensors,
    check_tokenizer,
    check_vocabulary,
    is_local,
    positions_of,
    read_model_config,
)
from layerscope.token_similarity.sentences import read_sentences, sentence_lines
from layerscope.tokenize.documents import corpus_files, read_documents
from layerscope.tokenize.tokenizer import LoadedTokenizer, load_tokenizer

if TYPE_CHECKING:
    from layerscope.config import Config


def check_local_sources(config: "Config") -> None:
    """Open the local sources that the studies use, as far as takes no time.

    Raises:
        UserError: a source that is neither there nor a hub id, or cannot be read; a model that is not one, is not what
            the config says, or reads other tokens than its tokenizer gives; a corpus whose first document cannot be
            used; sentences likewise.
    """
    for kind in ("models", "tokenizers", "corpora"):
        for name, entry in getattr(config, kind).items():
            with at(f"{kind}.{name}.source"):
                _check_place(f"config: {kind}.{name}.source", entry.source)
    studies = config.studies.run().values()
    tokenizers = _local_tokenizers(config, {name for study in studies for name in study.models})
    for study in studies:
        for name in study.models:
            if is_local(config.models[name].source):
                length = config.sampling.sequence_length if hasattr(study, "corpus") else None
                with at(f"models.{name}.source"):
                    _check_model(config, name, length, tokenizers)
    for name in {study.corpus for study in studies if hasattr(study, "corpus")}:
        if is_local(config.corpora[name].source):
            with at(f"corpora.{name}.source"):
                _check_corpus(name, config.corpora[name].source, config.corpora[name].text_field)
    if config.studies.token_similarity:
        with at("studies.token_similarity.sentences"):
            _check_sentences(config, tokenizers)


def _check_place(key: str, source: str) -> None:
    try:
        if not is_local(source) or Path(source).exists():
            return
    except OSError as error:
        raise UserError(f"{key}: '{source}' cannot be read ({error.strerror})") from None
    raise UserError(f"{key}: '{source}' is neither a file or folder here nor a hub id (owner/name)")


def _check_readable(key: str, files: Iterable[Path]) -> None:
    for file in files:
        if not os.access(file, os.R_OK):
            raise UserError(f"{key}: {file} cannot be read; its permissions or its link must allow it")


@contextmanager
def _listing(key: str, source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{key}: '{source}' cannot be read ({error.strerror})") from None


def _files_of(key: str, source: str) -> list[Path]:
    """Files of a local model or tokenizer that its digest is taken of."""
    with _listing(key, source):
        files = [file for file in Path(source).iterdir() if file.suffix in (".json", ".safetensors", ".txt")]
    _check_readable(key, files)
    return files


def _local_tokenizers(config: "Config", models: Iterable[str]) -> dict[str, LoadedTokenizer]:
    """Tokenizers of ``models`` that are on this machine."""
    loaded = {}
    for name in {config.models[model].tokenizer for model in models}:
        source = config.tokenizers[name].source
        if is_local(source):
            with at(f"tokenizers.{name}.source"):
                check_tokenizer(name, source, Path(source))
                _files_of(f"config: tokenizers.{name}.source", source)
                loaded[name] = load_tokenizer({"name": name, "path": source})
    return loaded


def _check_model(
    config: "Config", name: str, sequence_length: int | None, tokenizers: dict[str, LoadedTokenizer]
) -> None:
    model = config.models[name]
    model_config = read_model_config(model.source)
    files = _files_of(f"config: models.{name}.source", model.source)
    check_layers(name, model.layers, model_config)
    architecture_of(model_config.get("model_type"), name)
    if sequence_length is not None:
        check_positions(name, sequence_length, model_config)
    if model.tokenizer in tokenizers:
        check_vocabulary(name, model.tokenizer, tokenizers[model.tokenizer].largest, model_config)
    if model.weights == "trained":
        check_safetensors(name, model.source, [file.name for file in files])
        _check_weights(name, Path(model.source))


def _check_weights(name: str, folder: Path) -> None:
    """Read the headers of a model's weights: they say how long the files must be."""
    from safetensors import SafetensorError, safe_open

    pieces = _pieces(name, folder / WEIGHTS[1]) if not (folder / WEIGHTS[0]).is_file() else {WEIGHTS[0]}
    for piece in sorted(pieces):
        try:
            with safe_open(folder / piece, "numpy"):
                pass
        except (SafetensorError, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"models.{name}: {folder / piece} is not a whole safetensors file ({reason}); copy it anew"
            ) from None


def _pieces(name: str, index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"models.{name}: {index} is not the list of the model's weights; copy it anew") from None


def _check_corpus(name: str, source: str, text_field: str) -> None:
    key = f"config: corpora.{name}.source"
    with _listing(key, source):
        files = corpus_files(source)
    _check_readable(key, files)
    # Of JSON that is not in lines, the first document cannot be had without the last.
    if files[0].suffix != ".json":
        documents: Any = read_documents(name, {"source": source, "text_field": text_field})
        if next(documents, None) is None:
            raise UserError(f"corpus {name}: {source} holds no documents with text")


def _check_sentences(config: "Config", tokenizers: dict[str, LoadedTokenizer]) -> None:
    study = config.studies.token_similarity
    assert study is not None
    if not Path(study.sentences).is_file():
        raise UserError(
            f"config: studies.token_similarity.sentences: '{study.sentences}' is not a file here; "
            "name a text file with one sentence a line"
        )
    sentence_lines(study.sentences, study.target)
    for name in study.models:
        model = config.models[name]
        if model.tokenizer in tokenizers:
            rows = read_sentences(study.sentences, study.target, study.seed, tokenizers[model.tokenizer]).rows
            most = positions_of(name, read_model_config(model.source)) if is_local(model.source) else None
            if most is not None and rows.shape[1] > most:
                raise UserError(
                    f"token_similarity.sentences: {study.sentences} has a sentence of {rows.shape[1]} tokens, more "
                    f"than the {most} positions of {name}; shorten it"
                )
