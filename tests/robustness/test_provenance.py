"""Files that meet in one statistic are of one run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_models import extract, save_random_tokens, save_tiny_model

from layerscope.extract.activation_shards import ActivationShard, LayerReader
from layerscope.io.errors import UserError
from layerscope.io.provenance import MAY_DIFFER, check_same_run, deciding, origin, sample_attributes
from layerscope.io.tables import read_table, write_table
from layerscope.tokenize.token_shards import Tokens, read_token_shards, write_token_shard

SHARDS = [f"results/activations/tiny/mine/shard_{shard:04d}.h5" for shard in range(4)]
SHARD = {
    "format": "layerscope activations 4",
    **{"model": "tiny", "model_source": "here", "model_commit": "local", "model_content": "0123", "weights": "trained"},
    **{"dtype": "float32", "storage_dtype": "float32", "attention_implementation": "sdpa", "device": "cpu"},
    **{"corpus": "mine", "corpus_content": "4567", "corpus_text_field": "text", "batch_size": 4, "torch_version": "2"},
    **{"tokenizer": "mini", "tokenizer_content": "89ab", "sequences": 2, "sequence_length": 32},
}


def sample(**changes: dict[int, Any]) -> dict[str, dict[str, Any]]:
    """Attributes of four shards, with other values of some attributes in some of them."""
    shards = {path: {**SHARD, "shard": i, "token_shard_digest": f"tokens {i}"} for i, path in enumerate(SHARDS)}
    for name, values in changes.items():
        for shard, value in values.items():
            shards[SHARDS[shard]][name] = value
    return shards


def table(**changes: Any) -> dict[str, Any]:
    """Attributes of the table of the vocabulary of these shards."""
    return {**sample_attributes(sample()), "path": "results/tokens/mini/mine/vocabulary.parquet", **changes}


def refusal(run: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        run()
    [line] = str(error.value).splitlines()
    return line


@pytest.mark.parametrize("name", sorted(set(SHARD) - MAY_DIFFER))
def test_attribute_that_decides_values_is_compared(name: str) -> None:
    check_same_run(sample(), [table()])
    line = refusal(lambda: check_same_run(sample(**{name: {1: "another"}})))
    assert line == (
        f"{SHARDS[1]}: its {name} is another, that of {SHARDS[0]} is {SHARD[name]}; they are from different runs: "
        "delete those that do not match your settings and sources, or all of them, and run again "
        "(rm -r results/activations/tiny/mine)"
    )


def test_attribute_that_only_one_shard_has_is_compared() -> None:
    assert "its added is here, that of" in refusal(lambda: check_same_run(sample(added={3: "here"})))


def test_two_halves_of_a_sample_are_told_apart() -> None:
    line = refusal(lambda: check_same_run(sample(dtype={2: "bfloat16", 3: "bfloat16"})))
    assert line.startswith(f"{SHARDS[2]}: its dtype is bfloat16, that of {SHARDS[0]} is float32; ")


@pytest.mark.parametrize("name", sorted(MAY_DIFFER - {"digest", "token_shard_digest"}))
def test_what_moves_no_values_or_only_roundings_may_differ(name: str) -> None:
    check_same_run(sample(**{name: {1: "another"}}), [table()])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"corpus_content": "cdef"}, "its corpus_content is cdef, that of"),
        ({"tokenizer_content": "cdef"}, "its tokenizer_content is cdef, that of"),
        ({"sequence_length": 64}, "its sequence_length is 64, that of"),
        ({"token_shards": ["tokens 0"] * 3}, "it is made of 3 token shards, and the sample has 4; "),
    ],
)
def test_table_of_other_tokens_is_refused(changes: dict[str, Any], said: str) -> None:
    line = refusal(lambda: check_same_run(sample(), [table(**changes)]))
    assert line.startswith(f"results/tokens/mini/mine/vocabulary.parquet: {said}")
    assert line.endswith("(rm -r results/tokens/mini/mine results/activations/tiny/mine)")


def test_tokens_are_compared_shard_by_shard() -> None:
    line = refusal(lambda: check_same_run(sample(token_shard_digest={2: "others"}), [table()]))
    assert "token_shard_digest is tokens 2, that of " in line and SHARDS[2] in line


def test_table_without_attributes_is_not_compared(tmp_path: Path) -> None:
    write_table(tmp_path / "plain.parquet", pd.DataFrame({"a": [1]}))
    check_same_run(sample(), [read_table(tmp_path / "plain.parquet").attrs])


def test_origin_names_the_content_of_local_files_and_the_commit_of_others() -> None:
    record = {"name": "tiny", "source": "here", "commit": None, "content": "0123"}
    assert origin("model", record)["model_content"] == "0123"
    fetched = origin("model", record | {"commit": "c0ffee", "content": None})
    assert fetched["model_commit"] == "c0ffee"


def test_attributes_of_a_table_are_kept_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, pd.DataFrame({"a": [1.5]}), table())
    kept = read_table(path).attrs
    assert kept == {**table(), "path": str(path)}
    forged = pd.read_parquet(path)
    forged.attrs["corpus_content"] = "cdef"
    forged.to_parquet(path)
    assert "its values differ from those that were written" in refusal(lambda: read_table(path))


def test_layer_is_read_beside_the_tables_of_its_own_tokens_alone(tmp_path: Path) -> None:
    """Real shards: tokens, a model, and the table of the tokens of each of two corpora."""
    record = save_tiny_model("gpt2", tmp_path / "model")
    tables = []
    for seed in (0, 1):
        tokens = tmp_path / f"tokens_{seed}.h5"
        save_random_tokens(tokens, 2, 16, seed)
        write_table(tmp_path / f"vocabulary_{seed}.parquet", pd.DataFrame({"a": [1]}), read_token_shards([tokens])[1])
        tables.append(read_table(tmp_path / f"vocabulary_{seed}.parquet"))
        extract(tokens, record, tmp_path / f"shard_{seed}.h5")
    shard = str(tmp_path / "shard_0.h5")
    with LayerReader([shard], "mlp_pre", 0, tables[:1]) as reader:
        assert len(reader.tokens()) == 32
    line = refusal(LayerReader([shard], "mlp_pre", 0, tables[1:]).__enter__)
    assert "token_shard_digest" in line and shard in line and "vocabulary_1.parquet" in line


def test_shards_of_two_models_in_one_folder_are_refused(tmp_path: Path) -> None:
    """Each is whole by itself; the digests of the models that they were computed with tell."""
    save_random_tokens(tmp_path / "tokens.h5", 2, 16)
    paths = []
    for seed in (0, 1):
        record = save_tiny_model("gpt2", tmp_path / f"model_{seed}", seed) | {"content": f"digest {seed}"}
        paths.append(str(tmp_path / f"shard_{seed}.h5"))
        extract(tmp_path / "tokens.h5", record, Path(paths[-1]))
    for path in paths:
        with LayerReader([path], "mlp_pre", 0):
            pass
    line = refusal(LayerReader(paths, "mlp_pre", 0).__enter__)
    assert line.startswith(f"{paths[1]}: its model_content is digest 1, that of {paths[0]} is digest 0; ")


def test_extraction_states_all_that_decides_its_values(tmp_path: Path) -> None:
    save_random_tokens(tmp_path / "tokens.h5", 2, 16)
    extract(tmp_path / "tokens.h5", save_tiny_model("gpt2", tmp_path / "model"), tmp_path / "shard.h5")
    with ActivationShard(tmp_path / "shard.h5") as shard:
        stated = deciding(shard.attributes)
    for name in ("weights", "model_type", "dtype", "storage_dtype", "attention_implementation", "model_content"):
        assert name in stated
    for kind in ("corpus", "tokenizer"):
        assert {kind, f"{kind}_commit", f"{kind}_content"} <= set(stated)
    assert {"sequences", "sequence_length"} <= set(stated)


def test_token_shards_of_two_runs_are_refused(tmp_path: Path) -> None:
    numbers = np.arange(8, dtype=np.int32)
    for shard, content in enumerate(("0123", "4567")):
        write_token_shard(
            tmp_path / f"{shard}.h5", Tokens(numbers, numbers, numbers, numbers), {"corpus_content": content}
        )
    line = refusal(lambda: read_token_shards([str(tmp_path / "0.h5"), str(tmp_path / "1.h5")]))
    assert "1.h5: its corpus_content is 4567, that of " in line
