"""Models and tokenizers: where their files are on this machine, and which commit they are."""

from pathlib import Path
from typing import Any

from layerscope.errors import UserError
from layerscope.fetch import hub
from layerscope.sources import check_layers, is_local, read_model_config

MODEL_FILES = ["config.json", "*.safetensors", "model.safetensors.index.json"]
TOKENIZER_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
]


def fetch_model(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The record of a model: ``{name, source, commit, path, model_type}``.

    A local folder is used where it is; a hub repository is downloaded (safetensors only: no pickle, no remote code).

    Raises:
        UserError: no safetensors weights, a layer count other than declared, or trouble with the hub.
    """
    source = spec["source"]
    if is_local(source):
        commit, path = None, Path(source)
        files = [file.name for file in path.iterdir()] if path.is_dir() else []
    else:
        commit, files = hub.resolve_commit(source, spec["revision"], "model")
    if not any(file.endswith(".safetensors") for file in files):
        raise UserError(f"models.{name}: {source} holds no safetensors weights; other formats are not loaded")
    if commit is not None:
        path = hub.download(source, commit, MODEL_FILES)
    model_config = read_model_config(path)
    check_layers(name, spec["layers"], model_config)
    return {
        "name": name,
        "source": source,
        "commit": commit,
        "path": str(path),
        "model_type": model_config.get("model_type"),
    }


def fetch_tokenizer(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The record of a tokenizer: ``{name, source, commit, path}``.

    Raises:
        UserError: no tokenizer there, or trouble with the hub.
    """
    source = spec["source"]
    if is_local(source):
        commit, path = None, Path(source)
    else:
        commit, _ = hub.resolve_commit(source, spec["revision"], "model")
        path = hub.download(source, commit, TOKENIZER_FILES)
    if not any((path / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise UserError(f"tokenizers.{name}: {source} holds no tokenizer.json; a fast tokenizer is needed")
    return {"name": name, "source": source, "commit": commit, "path": str(path)}
