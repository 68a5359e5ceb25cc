"""Models and tokenizers: where their files are on this machine, and which commit they are."""

from pathlib import Path
from typing import TypedDict

from layerscope.fetch.places import is_local
from layerscope.fetch.settings import import_hub
from layerscope.io.records import ModelRecord, TokenizerRecord, Weights
from layerscope.model.model_config import architecture, check_layers, check_vocabulary, read_model_config
from layerscope.model.weights import INDEX, WHOLE, check_plain, check_safetensors, weight_files
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.tokenize.tokenizer_files import TOKENIZER_FILES, check_tokenizer

# By name: a repository may contain the same weights again, for other programs.
MODEL_FILES = ["config.json", WHOLE, INDEX, "model-*.safetensors"]


class FetchSpec(TypedDict):
    """Where a source is, by the configuration."""

    source: str
    revision: str | None  # on the hub
    digest: str | None  # of local files


class FetchModelSpec(FetchSpec):
    layers: int
    weights: Weights


def fetch_model(name: str, spec: FetchModelSpec, tokenizer: TokenizerRecord) -> ModelRecord:
    """The record of a model.

    A local folder is used where it is; a hub repository is downloaded (safetensors only: no pickle, no remote code). A
    model with random weights needs only the configuration. The weights are downloaded last, when all else is right.

    Args:
        spec: what the config says of it.
        tokenizer: record from :func:`fetch_tokenizer`.

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
    architecture(name, model_config)
    check_layers(name, spec["layers"], model_config)
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


def fetch_tokenizer(name: str, spec: FetchSpec) -> TokenizerRecord:
    """The record of a tokenizer.

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
