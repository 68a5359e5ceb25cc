"""What decides the values of a file, and a check that files which meet in one statistic agree on it."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from layerscope.io.errors import UserError
from layerscope.io.records import CorpusRecord, TokenizerRecord

# Attributes in which the files of one sample may differ; two values of any other mean two samples. The first row tells
# the files apart, and the second says where the same content was. Batch size, device and the versions of packages move
# values by roundings (docs/checks.md).
MAY_DIFFER = {
    *("format", "shard", "token_shard", "digest", "token_shard_digest", "stored_sequences", "stored_tokens_digest"),
    *("model_source", "tokenizer_source", "corpus_source"),
    *("batch_size", "device", "layerscope_version", "torch_version", "transformers_version", "h5py_version"),
}

# What :func:`text_origin` gives.
TEXT_ORIGIN = [f"corpus{of}" for of in ("", "_source", "_commit", "_content", "_subset", "_split", "_text_field")]
TEXT_ORIGIN += [f"tokenizer{of}" for of in ("", "_source", "_commit", "_content")]

Attributes = Mapping[str, Any]


def origin(kind: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Attributes that say which source something was made from.

    Args:
        kind: model, tokenizer or corpus.
        record: of :mod:`layerscope.fetch`. Its ``content`` is a digest of local files; those on the hub have a commit.
    """
    return {
        kind: record["name"],
        f"{kind}_source": record["source"],
        f"{kind}_commit": record["commit"] or "local",
        f"{kind}_content": record["content"] or "that of the commit",
    }


def text_origin(corpus: CorpusRecord, tokenizer: TokenizerRecord) -> dict[str, str]:
    """Attributes that say which documents were tokenized, and with what."""
    return {
        **origin("corpus", corpus),
        "corpus_subset": corpus["subset"] or "default",
        "corpus_split": corpus["split"] or "default",
        "corpus_text_field": corpus["text_field"],
        **origin("tokenizer", tokenizer),
    }


def text_origin_of(attributes: Attributes) -> dict[str, Any]:
    """The attributes of :func:`text_origin` among those of a file that was made from the tokens."""
    return {name: attributes[name] for name in TEXT_ORIGIN}


def of_token_shard(attributes: Attributes) -> dict[str, Any]:
    """Attributes of what is computed from a token shard: those of the shard, and the digest of its tokens.

    Args:
        attributes: root attributes of the token shard.
    """
    kept = {name: value for name, value in attributes.items() if name not in ("format", "digest")}
    return {**kept, "token_shard_digest": attributes["digest"]}


def deciding(attributes: Attributes) -> dict[str, Any]:
    """The attributes in which the files of one sample agree."""
    return {name: value for name, value in attributes.items() if name not in MAY_DIFFER}


def sample_attributes(shards: Mapping[str, Attributes]) -> dict[str, Any]:
    """Attributes of a table that is made of token shards, for :func:`check_same_run`.

    Args:
        shards: path → root attributes, in the order of the sample.
    """
    return {**deciding(next(iter(shards.values()))), "token_shards": list(map(_tokens, shards.values()))}


def check_same_run(shards: Mapping[str, Attributes], tables: Iterable[Attributes] = (), parts: bool = False) -> None:
    """Check that shards, and tables of the tokens in them, can meet in one statistic.

    Args:
        shards: path → root attributes of all shards of a sample, in their order.
        tables: attributes of tables from :func:`layerscope.io.tables.read_table`, compared where they have these.
        parts: shards are those of the stored sample: each is of a part of the token shard ``token_shard``, and there
            may be more token shards.

    Raises:
        UserError: two files differ in an attribute that decides values; the line names both, and both values.
    """
    files = {path: deciding(attributes) for path, attributes in shards.items()}
    names = sorted({name for attributes in files.values() for name in attributes})
    of_tables = {str(attributes.get("path")): attributes for attributes in tables}
    for name in names:
        compared = {} if parts and name == "sequences" else of_tables
        _agree(name, {path: attributes.get(name) for path, attributes in files.items()}, compared)
    number = [attributes.get("token_shard", at) if parts else at for at, attributes in enumerate(shards.values())]
    for path, attributes in of_tables.items():
        if (read := attributes.get("token_shards")) is None:
            continue
        if max(number) >= len(read) or (not parts and len(read) != len(shards)):
            raise _two_runs(
                path, f"it is made of {len(read)} token shards, and the sample has {max(number) + 1}", shards
            )
        for (shard, of), at in zip(shards.items(), number, strict=True):
            _agree("token_shard_digest", {shard: _tokens(of)}, {path: {"token_shard_digest": read[at]}})


def _tokens(attributes: Attributes) -> Any:
    """Digest of the tokens of a shard; that of a token shard is of its tokens."""
    return attributes.get("token_shard_digest", attributes.get("digest"))


def _agree(name: str, of_shards: dict[str, Any], tables: Mapping[str, Attributes]) -> None:
    values = of_shards | {path: attributes[name] for path, attributes in tables.items() if name in attributes}
    [(usual, _)] = Counter(values.values()).most_common(1)
    like_most = next(path for path, value in values.items() if value == usual)
    for path, value in values.items():
        if value != usual:
            raise _two_runs(path, f"its {name} is {value}, that of {like_most} is {usual}", [path, like_most])


def _two_runs(path: str, what: str, files: Iterable[str]) -> UserError:
    folders = dict.fromkeys(shlex.quote(str(Path(file).parent)) for file in (path, *files))
    return UserError(
        f"{path}: {what}; they are from different runs: delete those that do not match your settings and sources, or "
        f"all of them, and run again (rm -r {' '.join(folders)})"
    )
