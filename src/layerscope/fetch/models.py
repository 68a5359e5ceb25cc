"""Models and tokenizers: where their files are on this machine, and which commit they are."""

from pathlib import Path
from typing import Any

from layerscope.errors import UserError
from layerscope.fetch import hub
from layerscope.sources import check_layers, is_local, read_model_config

WEIGHTS = ["model.safetensors", "model.safetensors.index.json"]  # in one file, or the list of its pieces
# By name: a repository may hold the same weights a second time, for other programs.
MODEL_FILES = ["config.json", *WEIGHTS, "model-*.safetensors"]
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]


def fetch_model(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The record of a model: ``{name, source, commit, path, model_type, weights}``.

    A local folder is used where it is; a hub repository is downloaded (safetensors only: no pickle, no remote code). Of
    a model with random weights only the configuration is needed.

    Raises:
        UserError: no safetensors weights, a layer count other than declared, or trouble with the hub.
    """
    source = spec["source"]
    if is_local(source):
        commit, path = None, Path(source)
        files = [file.name for file in path.iterdir()] if path.is_dir() else []
    else:
        commit, files = hub.resolve_commit(source, spec["revision"], "model")
    trained = spec["weights"] == "trained"
    if trained and not set(WEIGHTS) & set(files):
        raise UserError(
            f"models.{name}: {source} holds no {' or '.join(WEIGHTS)}; pickled weights are not loaded: "
            f"name a repository, revision or folder with safetensors"
        )
    if commit is not None:
        path = hub.download(source, commit, ["config.json"])
    model_config = read_model_config(path)
    check_layers(name, spec["layers"], model_config)
    if trained and commit is not None:
        path = hub.download(source, commit, MODEL_FILES)
    return {
        "name": name,
        "source": source,
        "commit": commit,
        "path": str(path),
        "model_type": model_config.get("model_type"),
        "weights": spec["weights"],
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
    if not (path / "tokenizer.json").is_file():
        raise UserError(f"tokenizers.{name}: {source} holds no tokenizer.json; a fast tokenizer is needed")
    return {"name": name, "source": source, "commit": commit, "path": str(path)}
