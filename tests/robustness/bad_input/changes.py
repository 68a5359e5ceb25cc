"""What can be done to the tiny study, and what its user must then be told."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file, save_file

from layerscope.io.errors import UserError
from layerscope.preflight.load import load_config

Change = Callable[[dict[str, Any]], object]
# id → (what is done, the line or how it begins). Of a line that goes on, the rest is another program's words.
Catalogue = dict[str, tuple[Change, str]]
LEFT_OUT = object()


def check_line(study: dict[str, Any], change: Change, line: str) -> None:
    """Spoil the study; planning it must give one line that begins with ``line``."""
    change(study)
    with pytest.raises(UserError) as error:
        load_config(study)
    said = str(error.value)
    assert said.startswith(line)
    assert len(said.splitlines()) == 1 and len(said) < 600


def put(place: str, value: Any) -> Change:
    """Set a key of the configuration."""

    def change(config: dict[str, Any]) -> None:
        *sections, key = place.split("/")
        for section in sections:
            config = config[section]
        config[key] = value

    return change


def write(path: str, content: str | bytes) -> Change:
    """Write a file in place of a source."""
    data = content.encode() if isinstance(content, str) else content
    return lambda config: Path(path).write_bytes(data)


def edit(path: str, **changes: Any) -> Change:
    """Change keys of a JSON file; LEFT_OUT removes one."""

    def change(config: dict[str, Any]) -> None:
        record = {**json.loads(Path(path).read_text()), **changes}
        Path(path).write_text(json.dumps({key: value for key, value in record.items() if value is not LEFT_OUT}))

    return change


def edit_model(**changes: Any) -> Change:
    """Put another model into tokenizer.json, with no added tokens."""
    return edit("tokenizer/tokenizer.json", added_tokens=[], model=changes)


def also(*changes: Change) -> Change:
    return lambda config: [change(config) for change in changes]


def corpus(name: str, content: str | bytes) -> Change:
    return also(write(name, content), put("corpora/mine/source", name))


def folder(**files: str) -> Change:
    """A corpus that is a folder of files; a dash in a name stands for the dot."""

    def change(config: dict[str, Any]) -> None:
        Path("folder").mkdir()
        for name, content in files.items():
            Path("folder", name.replace("_", ".")).write_text(content)
        config["corpora"]["mine"]["source"] = "folder"

    return change


def save_bomb(config: dict[str, Any]) -> None:
    """A small Parquet file of a large document."""
    table = pyarrow.table({"text": ["a" * 40_000_000]})
    parquet.write_table(table, "bomb.parquet", compression="brotli")
    config["corpora"]["mine"]["source"] = "bomb.parquet"


def without_weights(*files: str) -> Change:
    """Take the weights away, and leave other files."""

    def change(config: dict[str, Any]) -> None:
        Path("model/model.safetensors").unlink()
        for file in files:
            Path("model", file).write_text("{}")

    return change


def cut(path: str, length: int) -> Change:
    return lambda config: Path(path).write_bytes(Path(path).read_bytes()[:length])


def lose_a_piece(config: dict[str, Any]) -> None:
    """Weights in two pieces, of which one is missing."""
    whole = Path("model/model.safetensors")
    weights = load_file(whole)
    pieces = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(weights)}
    first = {name: weights[name] for name, piece in pieces.items() if "1-of" in piece}
    save_file(first, "model/model-00001-of-00002.safetensors")
    Path("model/model.safetensors.index.json").write_text(json.dumps({"weight_map": pieces}))
    whole.unlink()


def dangling(path: str) -> Change:
    """A link to nowhere: it cannot be read by root either."""
    return lambda config: Path(path).symlink_to("nowhere")


def pipe(path: str) -> Change:
    """A named pipe in place of a file: to open it would wait for ever."""

    def change(config: dict[str, Any]) -> None:
        Path(path).unlink(missing_ok=True)
        os.mkfifo(path)

    return change


def unix_socket(path: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        Path(path).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)

    return change


def folder_in_place_of(path: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        Path(path).unlink(missing_ok=True)
        Path(path).mkdir()

    return change
