"""What only a job can find: one line, or, where the input is odd and not wrong, the right result.

Further ones are beside what they test: corpora that end early (test_tokenize.py), weights that are missing or not
finite (test_extraction.py), sentences (test_token_similarity.py), results that were changed (test_activation_shards.py
and others), figures (test_report.py), the hub (test_hub.py).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import encoded
import numpy as np
import pytest
import torch
from changes import cut, edit
from tiny_models import change_weights, extract, save_random_tokens, save_tiny_model

from layerscope.io.errors import UserError
from layerscope.tokenize.tokenizer import load_tokenizer


def tokenize(mini_tokenizer: dict, lines: list[str], shard: int = 0) -> np.ndarray:
    """Token ids of a shard of 128 tokens of a corpus of these lines of JSON."""
    Path("corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    corpus = {
        "name": "mine",
        "source": "corpus.jsonl",
        "text_field": "text",
        **dict.fromkeys(("subset", "split", "commit", "content")),
    }
    spec = {"sequences_per_shard": 2, "sequence_length": 64}
    return encoded.tokenize(Path(), corpus, mini_tokenizer, spec, shard)[0].input_ids


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": 3}', "corpus mine: field 'text' of document 4 is int, not text"),
        ('{"text": null}', "corpus mine: field 'text' of document 4 is NoneType, not text"),
        ('{"body": "a"}', "corpus mine: document 4 has no field 'text'; it has body (set corpora.mine.text_field)"),
        (
            r'{"text": "a \udc00 b"}',
            "corpus mine: field 'text' of document 4 contains '\\udc00', half of a surrogate pair, not a character; ",
        ),
        (
            '{"text": "a"',
            "corpus mine: corpus.jsonl cannot be read: ValueError: line 5, column 13, is not valid JSON: ",
        ),
        ("a", "corpus mine: corpus.jsonl cannot be read: ValueError: line 5, column 1, is not valid JSON: Expecting"),
    ],
)
def test_document_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mini_tokenizer: dict, line: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    good = json.dumps({"text": "Once upon a time."})
    with pytest.raises(UserError) as error:
        tokenize(mini_tokenizer, [good] * 4 + [line])
    assert str(error.value).startswith(said)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "NUL \0 in \0\0 text. " * 20,
        "\u2028 and \r\n and \x85 " * 20,
        "\ufeffmark " * 40,
        "👩‍👩‍👧 \U0010ffff " * 20,
        " " * 9000,
    ],
    ids=["NUL", "line breaks of Unicode", "byte order marks", "beyond the BMP", "spaces"],
)
def test_odd_characters_are_tokens_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mini_tokenizer: dict, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ids = tokenize(mini_tokenizer, [json.dumps({"text": text}, ensure_ascii=False)] * 2)
    tokenizer = load_tokenizer(mini_tokenizer)
    expected = [*tokenizer.encode([text])[0], tokenizer.end_of_text]
    assert ids.tolist() == (expected * 2)[:128]
    assert tokenizer.backend.decode(expected[:-1]) == text


def test_ten_megabytes_in_one_line_are_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mini_tokenizer: dict
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "Once upon a time there was one. " * 330_000
    ids = tokenize(mini_tokenizer, [json.dumps({"text": text})], shard=1000)
    tokenizer = load_tokenizer(mini_tokenizer)
    near = tokenizer.encode(["Once upon a time there was one. " * 20_000])[0]
    assert ids.tolist() == near[128_000:128_128]


WEIGHT = "transformer.h.1.mlp.c_fc.bias"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda record: change_weights(record, lambda weights: weights.update({WEIGHT: torch.zeros(7)})),
            "models.gpt2: model has 1 weights of another shape than its config.json says, h.1.mlp.c_fc.bias for one: "
            "[7], not [128]; fetch the model again",
        ),
        (cut("model/model.safetensors", -100), "models.gpt2: model cannot be loaded (SafetensorError: "),
        (
            lambda record: Path("model/model.safetensors").unlink(),
            "models.gpt2: model holds no model.safetensors or model",
        ),
        (edit("model/config.json", n_head=5), "models.gpt2: model cannot be loaded (ValueError: "),
        (edit("model/config.json", activation_function="none"), "models.gpt2: model cannot be loaded (KeyError: "),
    ],
    ids=["shape", "cut short", "gone", "heads", "activation"],
)
def test_model_that_cannot_be_loaded_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    record = save_tiny_model("gpt2", Path("model"))
    save_random_tokens(Path("tokens.h5"), 1, 16)
    change(record)
    with pytest.raises(UserError) as error:
        extract(Path("tokens.h5"), record, Path("results/shard.h5"))
    assert str(error.value).startswith(said)
    assert len(str(error.value).splitlines()) == 1
    assert not Path("results").exists()
