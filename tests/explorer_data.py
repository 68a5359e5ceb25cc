"""An explorer of made-up models, whose tables the tests know, with text that tries to break the page."""

import base64
import gzip
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from layerscope.explorer.index import write_index
from layerscope.explorer.packed import write_script

NONE = 0xFFFFFFFF
BEFORE, AFTER = 15, 5
SEQUENCE, CHUNK, PER_FILE = 64, 65_536, 25
CONTEXTS = [("most", 10), ("least", 6), *((f"quantile_{q}", 1) for q in range(10, 100, 10)), ("random", 4)]
GROUPS = {"short": "shorter than the median", "median": "of median length", "long": "longer than the median"}
COLUMNS = {
    "r": ("r with token length", "r"),
    "r_low": ("r, lower bound", "r"),
    "r_high": ("r, upper bound", "r"),
    "r_null_low": ("null of r, lower bound", "r"),
    "r_null_high": ("null of r, upper bound", "r"),
    "p": ("p of r", "share"),
    "r_given_frequency": ("r given frequency", "r"),
    "r_given_all": ("r given all confounds", "r"),
    "r_types": ("r over token types", "r"),
    "r_types_low": ("r over types, lower bound", "r"),
    "r_types_high": ("r over types, upper bound", "r"),
    "r_spearman": ("Spearman r", "r"),
    "mean": ("mean activation", "activation"),
    "std": ("standard deviation", "activation"),
    "kurtosis": ("excess kurtosis", ""),
    "dip_tokens": ("dip over tokens", ""),
    "match_r": ("r with the matched neuron", "r"),
    "norm_in": ("norm of input weights", ""),
    "norm_out": ("norm of output weights", ""),
    "cosine_in_out": ("cosine of input and output weights", ""),
}
# Each a token: markup, what ends a script or turns the direction of text, and what does not show.
HOSTILE = (
    "<img src=x onerror=\"window.attacked='img'\">",
    "</script><script>window.attacked='script'</script>",
    "<svg onload=window.attacked='svg'>",
    "&lt;b&gt;",
    "\u202eevil\u202c",
    "\u2067שלום\u2069",
    "שלום",
    "a\u2028b\u2029c",
    "nul\0nul",
    "\x1b[31mred",
    "\\u003cb\\u003e",
    "'\"`${window.attacked=1}",
    "\u200b\ufeff\u00ad",
    "\u0301",
    "{{ manifest }}",
)  # fmt: skip
PLAIN = (
    "\n", "\t", "\r\n", "  ", " her", "her", " the", " of", ",", ".", " and", " a", " to", "ing", " ocean", " €",
    "日本", " representation", " internationalisation", "'s", " 42", "é",
)  # fmt: skip
PARTIAL = (b"\xe2\x82", b"\xac", b" \xf0\x9f")


@dataclass
class Model:
    """A made-up model, and what to leave out of it."""

    name: str
    layers: int
    width: int
    matched: "str | None" = None
    weights: str = "trained"
    without: tuple[str, ...] = ()
    seed: int = 0
    # Files of the other layers are not written.
    written_layers: "range | None" = None
    neurons: pd.DataFrame = field(default_factory=pd.DataFrame)

    def columns(self) -> list[str]:
        return [name for name in COLUMNS if name not in self.without]


def write_explorer(folder: Path, models: Iterable[Model], types: int = 600, chunks: int = 2) -> None:
    """Write index and data files; ``neurons`` of each model becomes its table, one row per neuron."""
    models = list(models)
    rng = np.random.default_rng(1)
    vocabulary = make_vocabulary(types)
    ends = np.cumsum([len(token) for token in vocabulary])
    special, partial = len(HOSTILE) + len(PLAIN) + len(PARTIAL), len(HOSTILE) + len(PLAIN)
    flags = np.zeros(types, np.uint8)
    flags[partial:special] = 1
    flags[special] = 2
    tokens = (types * rng.random(chunks * CHUNK) ** 3).astype(np.uint32)
    arrays = {
        "bytes": np.frombuffer(b"".join(vocabulary), np.uint8),
        "ends": ends.astype(np.uint32),
        "flags": flags,
        "count": np.bincount(tokens, minlength=types).astype(np.uint32),
        "characters": np.array([min(255, len(token.decode(errors="replace"))) for token in vocabulary], np.uint8),
    }
    write_script(folder / "data/vocabulary/mini.js", "vocabulary/mini", arrays)
    document = np.cumsum(tokens == special).astype(np.uint32)
    for chunk in range(chunks):
        places = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        arrays = {"input_ids": tokens[places], "document": document[places]}
        name = f"tokens/mini/{chunk:05d}"
        write_script(folder / f"data/{name}.js", name, arrays, {"first": chunk * CHUNK})
    widths = {model.name: (model.layers, model.width) for model in models}
    for model in models:
        model.neurons = make_neurons(model)
        for column in model.columns():
            name = f"{model.name}/columns/{column}"
            write_script(folder / f"data/{name}.js", name, {"values": model.neurons[column].to_numpy()})
        for layer in model.written_layers or range(model.layers):
            write_layer(folder, model, layer, types, chunks * CHUNK, widths.get(model.matched))
    manifest = {
        "corpus": "made up <b>&amp;\u2028",
        "sequence_length": SEQUENCE,
        "chunk_tokens": CHUNK,
        "neurons_per_file": PER_FILE,
        "context": {"before": BEFORE, "after": AFTER},
        "models": [
            {
                "name": model.name,
                "weights": model.weights,
                "tokenizer": "mini",
                "neurons": [model.width] * model.layers,
                "layers": model.layers,
                "matched": model.matched,
                "columns": model.columns(),
            }
            for model in models
        ],
        "columns": [
            {"name": name, "label": label, "unit": unit, "description": f"What {label} is."}
            for name, (label, unit) in COLUMNS.items()
        ],
        "tokenizers": {"mini": {"types": types}},
        "layerscope_version": "0.1.0",
    }
    write_index(folder / "index.html", manifest)


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of a payload."""
    (length,) = struct.unpack_from("<I", payload)
    header = json.loads(payload[4 : 4 + length])
    assert (4 + length) % 8 == 0
    arrays = {}
    for array in header["arrays"]:
        assert array["offset"] % 8 == 0
        dtype = np.dtype(array["dtype"]).newbyteorder("<")
        flat = np.frombuffer(payload, dtype, int(np.prod(array["shape"])), 4 + length + array["offset"])
        arrays[array["name"]] = flat.reshape(array["shape"])
    return header["facts"], arrays


def read_script(path: Path) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """Name, facts and arrays of a data file."""
    call = re.fullmatch(r'layerscope\.receive\("([^"]+)", "([A-Za-z0-9+/=]+)"\);\n', path.read_text(encoding="ascii"))
    assert call
    return call[1], *unpack(gzip.decompress(base64.b64decode(call[2])))


def read_layer(folder: Path, model: str, layer: int) -> dict[str, np.ndarray]:
    """Arrays of all neurons of a layer of an explorer, of all its files."""
    files = [read_script(path)[2] for path in sorted((folder / f"data/{model}/layer_{layer:02d}").glob("*.js"))]
    of_all = ("length", "length_tokens")
    return {
        key: array if key in of_all else np.concatenate([file[key] for file in files])
        for key, array in files[0].items()
    }


def make_vocabulary(types: int) -> list[bytes]:
    """Bytes of each token: those that try to break the page first, and the special token after the partial ones."""
    rng = np.random.default_rng(2)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    first = [text.encode() for text in HOSTILE + PLAIN] + [*PARTIAL, b"<|endoftext|>"]
    words = ("".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(types - len(first)))
    return first + [(word if rng.random() < 0.3 else f" {word}").encode() for word in words]


def make_neurons(model: Model) -> pd.DataFrame:
    """All columns of all neurons, float32 as in the data files, a few values undefined or equal."""
    rng = np.random.default_rng(model.seed)
    layer = np.repeat(np.arange(model.layers), model.width)
    count = len(layer)
    r = rng.normal(0.18 * np.exp(-layer / 2) - 0.02, 0.14)
    values: dict[str, Any] = {"r": r, "r_low": r - 0.05, "r_high": r + 0.06}
    values |= {"r_null_low": np.full(count, -0.04), "r_null_high": np.full(count, 0.04), "p": rng.random(count) ** 4}
    values |= {"r_given_frequency": r * 0.7, "r_given_all": r * 0.5 + rng.normal(0, 0.02, count)}
    types = r * 0.4 + rng.normal(0, 0.05, count)
    values |= {"r_types": types, "r_types_low": types - 0.04, "r_types_high": types + 0.04}
    values |= {"r_spearman": r * 0.95, "mean": rng.normal(-1.2, 0.4, count), "std": rng.gamma(9, 0.12, count) + 0.1}
    values |= {"kurtosis": rng.lognormal(0, 1, count) - 0.5, "dip_tokens": rng.gamma(8, 0.0002, count)}
    values |= {"match_r": rng.beta(5, 3, count), "norm_in": rng.gamma(20, 0.1, count)}
    values |= {"norm_out": rng.gamma(20, 0.1, count), "cosine_in_out": rng.normal(0, 0.1, count)}
    table = pd.DataFrame(values).astype(np.float32)
    table.loc[table.index % 13 == 5, ["r_types", "r_types_low", "r_types_high"]] = np.nan
    table.loc[table.index % 7 == 0, "kurtosis"] = np.float32(0.5)
    table[list(model.without)] = np.float32(np.nan)
    return pd.DataFrame({"layer": layer, "neuron": np.tile(np.arange(model.width), model.layers)}).join(table)


def write_layer(
    folder: Path, model: Model, layer: int, types: int, places: int, matched: tuple[int, int] | None
) -> None:
    rng = np.random.default_rng([model.seed, layer])
    table = model.neurons[model.neurons.layer == layer]
    mean, std = (table[column].to_numpy()[:, np.newaxis] for column in ("mean", "std"))
    width, contexts = model.width, sum(count for _, count in CONTEXTS)
    # Standardised values in the order of the kinds: falling, rising, the deciles, and any.
    z = np.concatenate(
        [np.linspace(5, 4, 10), np.linspace(-4, -3, 6), np.linspace(-1.3, 1.3, 9), np.array([0.1, -0.4, 0.7, 0.2])]
    )
    value = (mean + std * (z + rng.uniform(-0.05, 0.05, (width, contexts)))).astype(np.float32)
    place = rng.integers(0, places, (width, contexts), dtype=np.uint32)
    place[:, -4:] = rng.integers(0, places, 4)
    window = mean[:, :, np.newaxis] + std[:, :, np.newaxis] * rng.standard_normal((width, contexts, BEFORE + 1 + AFTER))
    window[:, :, BEFORE] = value
    low, high = window.min((1, 2)), window.max((1, 2))
    coded = 1 + np.rint(254 * (window - low[:, None, None]) / (high - low)[:, None, None])
    position = place.astype(int)[:, :, np.newaxis] % SEQUENCE + np.arange(-BEFORE, AFTER + 1)
    coded[(position < 0) | (position >= SEQUENCE)] = 0
    edges = np.linspace(mean - 4 * std, mean + 5 * std, 41, axis=-1)[:, 0]
    centres = (edges[:, 1:] + edges[:, :-1]) / 2
    shift = std * table.r.to_numpy()[:, np.newaxis]
    bells = [np.exp(-(((centres - mean - sign * shift) / std) ** 2) / 2) for sign in (-1, 0, 1)]
    histogram = np.stack([np.rint(scale * bell) for scale, bell in zip((800, 350, 900), bells, strict=True)], 1)
    lengths = np.arange(1, 15)
    length_mean = mean + shift * (lengths - 5) / 3 + std * 0.05 * rng.standard_normal((width, len(lengths)))
    half = std * (0.03 + 0.03 * lengths)
    low_of, high_of = length_mean - half, length_mean + half
    low_of[:, -1] = high_of[:, -1] = np.nan
    top, bottom = (np.argsort(rng.random((width, min(types, 60))), axis=1)[:, :10].astype(np.uint32) for _ in range(2))
    top[:, 9] = NONE
    steps = np.arange(10)
    arrays: dict[str, Any] = {
        "context_place": place, "context_value": value, "context_window": coded.astype(np.uint8),
        "window_low": low.astype(np.float32), "window_high": high.astype(np.float32),
        "histogram": histogram.astype(np.uint32),
        "histogram_low": edges[:, 0].astype(np.float32), "histogram_high": edges[:, -1].astype(np.float32),
        "length": lengths.astype(np.uint8), "length_tokens": (4000 // lengths**2).astype(np.uint32),
        "length_mean": length_mean.astype(np.float32),
        "length_low": low_of.astype(np.float32), "length_high": high_of.astype(np.float32),
        "types_top": top, "types_top_mean": (mean + std * (3 - 0.1 * steps)).astype(np.float32),
        "types_top_tokens": rng.integers(5, 500, (width, 10)).astype(np.uint32),
        "types_bottom": bottom, "types_bottom_mean": (mean - std * (3 - 0.1 * steps)).astype(np.float32),
        "types_bottom_tokens": rng.integers(5, 500, (width, 10)).astype(np.uint32),
        "statistics": np.stack([table[column] for column in COLUMNS], 1).astype(np.float32),
    }  # fmt: skip
    if "norm_in" not in model.without:
        arrays |= {"logits_top": bottom, "logits_top_value": np.tile(np.float32(0.5 - steps / 40), (width, 1))}
        arrays |= {"logits_bottom": top, "logits_bottom_value": np.tile(np.float32(steps / 40 - 0.5), (width, 1))}
    facts: dict[str, Any] = {
        "contexts": [{"kind": kind, "count": count} for kind, count in CONTEXTS],
        "groups": [{"name": name, "label": label} for name, label in GROUPS.items()],
    }
    if matched:
        layers, neurons = matched
        arrays |= {"match_layer": np.full(width, min(layer, layers - 1), np.int16)}
        arrays |= {"match_neuron": rng.integers(0, neurons, width).astype(np.int32)}
        arrays |= {"match_r": table.match_r.to_numpy()}
        arrays["match_layer"][3] = arrays["match_neuron"][3] = -1
        facts["matched"] = model.matched
    for number, first in enumerate(range(0, width, PER_FILE)):
        of_all = ("length", "length_tokens")
        part = {key: array if key in of_all else array[first : first + PER_FILE] for key, array in arrays.items()}
        name = f"{model.name}/layer_{layer:02d}/{number:02d}"
        write_script(folder / f"data/{name}.js", name, part, facts)
