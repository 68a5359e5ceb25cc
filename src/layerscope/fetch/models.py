"""Models and tokenizers: where their files are on this machine, and which commit they are."""

from pathlib import Path
from typing import Any

from layerscope.fetch.settings import import_hub
from layerscope.io.records import ModelRecord, TokenizerRecord
from layerscope.model.architectures import architecture_of
from layerscope.model.weights import INDEX, WHOLE, check_plain, check_safetensors, weight_files
from layerscope.sources import (
    TOKENIZER_FILES,
    check_layers,
    check_tokenizer,
    check_vocabulary,
    is_local,
    read_model_config,
)
from layerscope.tokenize.tokenizer import load_tokenizer

# By name: a repository may contain the same weights again, for other programs.
MODEL_FILES = ["config.json", WHOLE, INDEX, "model-*.safetensors"]


def fetch_model(name: str, spec: dict[str, Any], tokenizer: TokenizerRecord) -> ModelRecord:
    """The record of a model.

    A local folder is used where it is; a hub repository is downloaded (safetensors only: no pickle, no remote code). A
    model with random weights needs only the configuration. The weights are downloaded last, when all else is right.

    Args:
        spec: ``source``, ``revision``, ``layers``, ``weights`` of the config, and ``digest`` of a local model's files.

    Raises:
        UserError: no safetensors weights, a layer count other than declared, an architecture that is not supported, a
            tokenizer of another model, or trouble with the hub.
    """
    source = spec["source"]
    if is_local(source):
        commit, path = None, Path(source)
        files = [file.name for file in path.iterdir()] if path.is_dir() else []
    else:
        hub = import_hub()
        commit, files = hub.resolve_commit(source, spec["revision"], "model")
    trained = spec["weights"] == "trained"
    if trained:
        check_safetensors(name, source, set(files))
    if commit is not None:
        path = hub.download(source, commit, ["config.json"])
    model_config = read_model_config(path)
    check_layers(name, spec["layers"], model_config)
    architecture_of(model_config.get("model_type"), name)
    check_plain(name, model_config)
    check_vocabulary(name, tokenizer["name"], load_tokenizer(tokenizer).largest, model_config)
    if trained and commit is not None:
        path = hub.download(source, commit, MODEL_FILES)
        weight_files(name, path)
    return {
        "name": name,
        "source": source,
        "commit": commit,
        "content": spec["digest"],
        "path": str(path),
        "model_type": model_config["model_type"],
        "weights": spec["weights"],
    }


def fetch_tokenizer(name: str, spec: dict[str, Any]) -> TokenizerRecord:
    """The record of a tokenizer.

    Args:
        spec: ``source``, ``revision`` of the config, and ``digest`` of the files of a local one.

    Raises:
        UserError: no tokenizer there, or trouble with the hub.
    """
    source = spec["source"]
    if is_local(source):
        commit, path = None, Path(source)
    else:
        hub = import_hub()
        commit, _ = hub.resolve_commit(source, spec["revision"], "model")
        path = hub.download(source, commit, TOKENIZER_FILES)
    check_tokenizer(name, source, path)
    return {"name": name, "source": source, "commit": commit, "content": spec["digest"], "path": str(path)}
