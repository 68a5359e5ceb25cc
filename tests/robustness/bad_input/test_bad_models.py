"""Local models and tokenizers: each mistake gives one line before any job starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from changes import (
    LEFT_OUT,
    Catalogue,
    also,
    check_line,
    cut,
    dangling,
    edit,
    edit_model,
    folder_in_place_of,
    lose_a_piece,
    pipe,
    put,
    unix_socket,
    without_weights,
    write,
)

from layerscope.preflight.load import load_config

INDEX = "model/model.safetensors.index.json"
SAFETENSORS = "models.tiny: model holds no model.safetensors or model.safetensors.index.json; pickled weights are not "
WHOLE = "models.tiny: model/model.safetensors is not a whole safetensors file ("
FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
FAILS = "tokenizers.mini: tokenizer/tokenizer.json cannot encode a text: "
SLOW = {"Regex": "(o|o)*(o+o+)+y|([a-zO ]+[a-z ]+)+[0-9]"}  # tries every way to divide a text
CATALOGUE: Catalogue = {
    "sequences longer than the positions": (
        put("sampling/sequence_length", 65),
        "config: sampling.sequence_length: 65 is longer than the 64 positions of tiny; allowed are 2 to 64",
    ),
    "layers that disagree": (
        put("models/tiny/layers", 3),
        "config: models.tiny.layers: 3 is not what the model has; write layers: 2",
    ),
    "tokenizer of another model": (
        edit("model/config.json", vocab_size=8191),
        "config: models.tiny.tokenizer: 'mini' has token ids up to 8191, beyond the model's vocabulary of 8191; name "
        "the tokenizer it was trained with",
    ),
    "architecture not supported": (
        edit("model/config.json", model_type="bloom"),
        "models.tiny: architecture 'bloom' is not supported; supported are gpt_neo, gpt2, gpt_neox, ",
    ),
    "architecture of remote code": (
        edit("model/config.json", model_type="own", auto_map={"AutoModel": "modeling.Own"}),
        "models.tiny: architecture 'own' is not supported; supported are gpt_neo, gpt2, gpt_neox, ",
    ),
    "no architecture": (
        edit("model/config.json", model_type=LEFT_OUT),
        "models.tiny: its config.json names no model_type; supported are gpt_neo, gpt2, gpt_neox, ",
    ),
    "layers as text in config.json": (
        edit("model/config.json", num_layers="two"),
        'config: models.tiny.source: its config.json has num_layers: "two"; an integer of at least 1 is needed',
    ),
    "positions as text in config.json": (
        edit("model/config.json", max_position_embeddings="64"),
        'config: models.tiny.source: its config.json has max_position_embeddings: "64"; an integer of at least 1 is',
    ),
    "no vocabulary in config.json": (
        edit("model/config.json", vocab_size=LEFT_OUT),
        "config: models.tiny.source: its config.json names no vocab_size",
    ),
    "negative window": (
        edit("model/config.json", window_size=-256),
        "config: models.tiny.source: its config.json has window_size: -256; an integer of at least 1 is needed",
    ),
    "window of nothing": (
        edit("model/config.json", window_size=0),
        "config: models.tiny.source: its config.json has window_size: 0; an integer of at least 1 is needed",
    ),
    "negative width": (
        edit("model/config.json", hidden_size=-64),
        "config: models.tiny.source: its config.json has hidden_size: -64; an integer of at least 1 is needed",
    ),
    "no heads": (
        edit("model/config.json", num_heads=0),
        "config: models.tiny.source: its config.json has num_heads: 0; an integer of at least 1 is needed",
    ),
    "width of the MLP as text": (
        edit("model/config.json", intermediate_size="wide"),
        'config: models.tiny.source: its config.json has intermediate_size: "wide"; an integer of at least 1 is needed',
    ),
    "quantised weights": (
        edit("model/config.json", quantization_config={"quant_method": "bitsandbytes"}),
        "config: models.tiny.source: its config.json has quantization_config; quantised weights are not supported",
    ),
    **{
        f"weights in {name}": (
            also(without_weights(), write(INDEX, json.dumps({"weight_map": {"a": place}}))),
            f"models.tiny: {INDEX} names {json.dumps(place)} as a file of weights; only *.safetensors files of the ",
        )
        for name, place in {
            "another folder": "../elsewhere/w.safetensors",
            "a folder below": "pieces/w.safetensors",
            "a file by its whole path": "/w.safetensors",
            "a pickle": "pytorch_model.bin",
            "a number": 3,
            "a list": ["model-00001.safetensors"],
            "a map": {"file": "model-00001.safetensors"},
        }.items()
    },
    **{
        f"list of the weights {name}": (
            also(without_weights(), write(INDEX, content)),
            f"models.tiny: {INDEX} is not the list of the model's weights; copy it anew",
        )
        for name, content in {
            "empty": "{}",
            "of none": '{"weight_map": {}}',
            "as text": '{"weight_map": "model.safetensors"}',
            "that is a list": '{"weight_map": ["model.safetensors"]}',
            "nested without end": "[" * 100_000,
        }.items()
    },
    "list of the weights a pipe": (
        also(without_weights(), pipe(INDEX)),
        f"models.tiny: {INDEX} is not a regular file; put the list of the weights there",
    ),
    "list of the weights a folder": (
        also(without_weights(), folder_in_place_of(INDEX)),
        f"models.tiny: {INDEX} is not a regular file; put the list of the weights there",
    ),
    "weights a folder": (
        folder_in_place_of("model/model.safetensors"),
        "models.tiny: model/model.safetensors is not a regular file; put the weights there",
    ),
    "weights a pipe": (
        pipe("model/model.safetensors"),
        "models.tiny: model/model.safetensors is not a regular file; put the weights there",
    ),
    "config.json a pipe": (
        pipe("model/config.json"),
        "config: models.tiny.source: model/config.json is not a regular file; put one there",
    ),
    "config.json a folder": (
        folder_in_place_of("model/config.json"),
        "config: models.tiny.source: model/config.json is not a regular file; put one there",
    ),
    "tokenizer.json a pipe": (
        pipe("tokenizer/tokenizer.json"),
        "config: tokenizers.mini.source: tokenizer/tokenizer.json is not a regular file; put one there",
    ),
    "tokenizer.json a folder": (
        folder_in_place_of("tokenizer/tokenizer.json"),
        "config: tokenizers.mini.source: tokenizer/tokenizer.json is not a regular file; put one there",
    ),
    "tokenizer_config.json a socket": (
        unix_socket("tokenizer/tokenizer_config.json"),
        "config: tokenizers.mini.source: tokenizer/tokenizer_config.json is not a regular file; put one there",
    ),
    "special_tokens_map.json a pipe": (
        pipe("tokenizer/special_tokens_map.json"),
        "config: tokenizers.mini.source: tokenizer/special_tokens_map.json is not a regular file; put one there",
    ),
    "config.json not UTF-8": (write("model/config.json", b"\xff\xfe{}"), "model/config.json: not valid JSON ("),
    "pickled weights only": (without_weights("pytorch_model.bin"), SAFETENSORS),
    "no weights": (without_weights(), SAFETENSORS),
    "weights cut short": (cut("model/model.safetensors", -100), WHOLE),
    "header of the weights cut short": (cut("model/model.safetensors", 100), WHOLE),
    "weights empty": (cut("model/model.safetensors", 0), WHOLE),
    "weights of another format": (write("model/model.safetensors", b"\x80\x04." + bytes(64)), WHOLE),
    "a piece of the weights missing": (
        lose_a_piece,
        "models.tiny: model/model-00002-of-00002.safetensors is not a whole safetensors file (No such file",
    ),
    "list of the weights damaged": (
        without_weights("model.safetensors.index.json"),
        "models.tiny: model/model.safetensors.index.json is not the list of the model's weights; copy it anew",
    ),
    "model of which a file cannot be read": (
        also(without_weights(), dangling("model/model.safetensors")),
        "config: models.tiny.source: model/model.safetensors cannot be read; check its permissions or where its link ",
    ),
    "no tokenizer.json": (
        lambda config: Path("tokenizer/tokenizer.json").unlink(),
        "tokenizers.mini: tokenizer holds no tokenizer.json; a fast tokenizer is needed",
    ),
    "tokenizer a file": (
        put("tokenizers/mini/source", "tokenizer/tokenizer.json"),
        "tokenizers.mini: tokenizer/tokenizer.json holds no tokenizer.json; a fast tokenizer is needed",
    ),
    "tokenizer.json cut short": (
        cut("tokenizer/tokenizer.json", 1000),
        "tokenizers.mini: tokenizer/tokenizer.json cannot be read: ",
    ),
    "tokenizer.json of something else": (
        write("tokenizer/tokenizer.json", '{"a": 1}'),
        "tokenizers.mini: tokenizer/tokenizer.json cannot be read: ",
    ),
    "tokenizer with a pattern that never ends": (
        edit(
            "tokenizer/tokenizer.json",
            pre_tokenizer={"type": "Split", "pattern": SLOW, "behavior": "Isolated", "invert": False},
        ),
        FAILS + "Onig: Regex search error: retry-limit-in-match over",
    ),
    "normalizer with a pattern that never ends": (
        edit("tokenizer/tokenizer.json", normalizer={"type": "Replace", "pattern": SLOW, "content": ""}),
        FAILS + "Onig: Regex search error: retry-limit-in-match over",
    ),
    "tokenizer with a pattern that is none": (
        edit("tokenizer/tokenizer.json", normalizer={"type": "Replace", "pattern": {"Regex": "("}, "content": ""}),
        "tokenizers.mini: tokenizer/tokenizer.json cannot be read: Oniguruma error: ",
    ),
    "tokenizer with a damaged map of characters": (
        edit("tokenizer/tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        "tokenizers.mini: tokenizer/tokenizer.json cannot be read: Precompiled: ",
    ),
    "tokenizer that empties every text": (
        edit("tokenizer/tokenizer.json", normalizer={"type": "Replace", "pattern": {"Regex": "[^\n]"}, "content": ""}),
        "tokenizers.mini: tokenizer/tokenizer.json gives no tokens for the first document of corpus mine, which "
        "begins ",
    ),
    "words without a token for unknown ones": (
        edit_model(type="WordLevel", vocab={"a": 0, "<|endoftext|>": 1}, unk_token="[UNK]"),
        FAILS + "WordLevel error: Missing [UNK] token from the vocabulary; ",
    ),
    "unknown words that end a text": (
        edit_model(type="WordLevel", vocab={"a": 0, "<|endoftext|>": 1}, unk_token="<|endoftext|>"),
        "tokenizers.mini: tokenizer/tokenizer.json gives its end-of-text token '<|endoftext|>' within the document ",
    ),
    "end-of-text token that words give": (
        edit("tokenizer/tokenizer_config.json", eos_token="Ġher"),
        "tokenizers.mini: tokenizer/tokenizer.json gives its end-of-text token 'Ġher' within the document that begins ",
    ),
    "added token beyond the model's vocabulary": (
        edit(
            "tokenizer/tokenizer.json",
            added_tokens=[
                {"id": number, "content": content, "special": not number, **dict.fromkeys(FLAGS, False)}
                for number, content in ((0, "<|endoftext|>"), (8192, "<br>"))
            ],
        ),
        "config: models.tiny.tokenizer: 'mini' has token ids up to 8192, beyond the model's vocabulary of 8192; name ",
    ),
    "tokenizer_config.json nested without end": (
        write("tokenizer/tokenizer_config.json", "[" * 100_000),
        "tokenizers.mini: tokenizer/tokenizer_config.json is not valid JSON: ",
    ),
    "end-of-text token a number": (
        edit("tokenizer/tokenizer_config.json", eos_token=3),
        "tokenizers.mini: tokenizer/tokenizer_config.json names no eos_token: it must be text, or an object with its",
    ),
    "tokenizer_config.json a list": (
        write("tokenizer/tokenizer_config.json", "[]"),
        "tokenizers.mini: tokenizer/tokenizer_config.json names no eos_token: it must be text, or an object with its",
    ),
}


@pytest.mark.parametrize("mistake", CATALOGUE)
def test_mistake_is_one_line(study: dict[str, Any], mistake: str) -> None:
    check_line(study, *CATALOGUE[mistake])


def test_sources_that_no_study_uses_need_only_be_there(study: dict[str, Any]) -> None:
    Path("empty").mkdir()
    study["models"]["other"] = {**study["models"]["tiny"], "source": "empty"}
    study["tokenizers"]["other"] = study["corpora"]["other"] = {"source": "empty"}
    load_config(study)
