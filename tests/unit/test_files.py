"""Files are whole or absent, and digests notice what changed."""

import os
from pathlib import Path

import pytest

from layerscope.io.errors import UserError
from layerscope.io.files import (
    DigestCache,
    check_seal,
    digest_of,
    digest_of_file,
    read_json,
    seal_of,
    sealed_file,
    whole_file,
    write_json,
)


def test_a_failure_leaves_neither_the_file_nor_a_temporary_one(tmp_path):
    with pytest.raises(RuntimeError), whole_file(tmp_path / "deep/table.csv") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_failure_keeps_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_replaced_at_once_when_all_is_written(tmp_path):
    path = tmp_path / "figure.pdf"
    path.write_text("old")
    with path.open() as reader:
        with whole_file(path) as temporary:
            assert temporary.parent == path.parent  # a rename over file systems would copy
            assert temporary.suffix == ".pdf"
            temporary.write_text("new")
            assert path.read_text() == "old"
        assert reader.read() == "old"  # whoever reads the old file reads it to its end
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_job_left_of_a_file_is_removed_and_nothing_else(tmp_path):
    left, others = tmp_path / ".model-1.0a1b2c3d.partial.h5", [".model-1.3b.0a1b2c3d.partial.h5", ".model-1.notes.h5"]
    for name in (left.name, *others):
        (tmp_path / name).touch()
    with whole_file(tmp_path / "model-1.h5") as temporary:
        temporary.touch()
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [*others, "model-1.h5"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "table.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_json_round_trip(tmp_path):
    record = {"name": "Łódź", "commit": None, "layers": [1, 2], "maximum": 0.1 + 0.2}
    write_json(tmp_path / "record.json", record)
    assert read_json(tmp_path / "record.json") == record


@pytest.mark.parametrize("old, new", [("2", "3"), ('"name"', '"Name"'), ("null", "true"), ('  "commit": null,\n', "")])
def test_json_that_was_edited_is_refused(tmp_path, old, new):
    path = tmp_path / "record.json"
    write_json(path, {"name": "a", "commit": None, "layers": 2})
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=r"record\.json: differs from what was written; delete it and run again"):
        read_json(path)


def test_sealed_file_that_changed_or_lost_its_seal_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    for content in ("a,b\n1,2\n", "a,b\n3,4\n"):  # written again, it gets a new seal
        with sealed_file(path) as temporary:
            temporary.write_text(content)
        check_seal(path)
    path.write_text("a,b\n3,5\n")
    with pytest.raises(UserError, match=r"table\.csv: differs from what was written; delete it and run again"):
        check_seal(path)
    path.write_text("a,b\n3,4\n")
    check_seal(path)
    seal_of(path).unlink()
    with pytest.raises(UserError, match=r"table\.csv: damaged \(FileNotFoundError"):
        check_seal(path)


def test_sealed_file_has_its_seal_before_its_name(tmp_path, monkeypatch):
    """Whenever a job is killed, a file of the final name comes with its own seal."""
    path, seen = tmp_path / "table.csv", []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (seen.append(Path(to).name), replace(self, to))[1])
    with sealed_file(path) as temporary:
        temporary.write_text("a,b\n1,2\n")
    assert seen == [seal_of(path).name, path.name]


def test_failure_leaves_no_seal(tmp_path):
    with pytest.raises(RuntimeError), sealed_file(tmp_path / "table.csv"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "kind"), [("", "JSONDecodeError"), ('{"a": 1', "JSONDecodeError"), (None, "FileNot")]
)
def test_json_that_is_damaged_is_one_line(tmp_path, content, kind):
    path = tmp_path / "record.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        read_json(path)
    assert str(error.value).startswith(f"{path}: damaged ({kind}")
    assert "; delete it and run again" in str(error.value)


def test_digest_is_of_the_bytes_and_not_of_their_chunks(tmp_path):
    data = os.urandom(5 << 20)  # more than the block in which files are read
    path = tmp_path / "data"
    path.write_bytes(data)
    assert digest_of_file(path) == digest_of([data]) == digest_of([data[:7], b"", data[7:]])
    assert digest_of([data]) != digest_of([data[:-1]])
    # The published XXH3-128 of no bytes: the digest of another algorithm would be another.
    assert digest_of([]) == "99aa06d3014798d86001c324468d497f"


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(f"text of {name}")
    return folder


def test_cached_digest_does_not_read_again(tmp_path, corpus):
    def never(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    first = DigestCache(tmp_path / "store.json").digest(corpus.iterdir())
    assert DigestCache(tmp_path / "store.json").digest(corpus.iterdir(), never) == first


def test_cached_digest_is_of_names_and_contents_in_any_order(tmp_path, corpus):
    cache = DigestCache(tmp_path / "store.json")
    files = sorted(corpus.iterdir())
    assert cache.digest(files) == cache.digest(reversed(files))
    assert cache.digest(files) != cache.digest(files[:1])
    before = cache.digest(files)
    (corpus / "b.txt").rename(corpus / "c.txt")
    assert cache.digest(corpus.iterdir()) != before


def test_cached_digest_notices_a_change_of_one_byte(tmp_path, corpus):
    cache = DigestCache(tmp_path / "store.json")
    before = cache.digest(corpus.iterdir())
    file = corpus / "a.txt"
    was = file.stat().st_mtime_ns
    file.write_text("Text of a.txt")
    os.utime(file, ns=(was, was + 1))
    changed = cache.digest(corpus.iterdir())
    assert changed != before
    file.write_text("text of a.txt")
    os.utime(file, ns=(was, was + 2))
    assert cache.digest(corpus.iterdir()) == before


@pytest.mark.parametrize("content", ["", "{half", "[]"])
def test_a_damaged_cache_is_made_anew(tmp_path, corpus, content):
    store = tmp_path / "store.json"
    store.write_text(content)
    digest = DigestCache(store).digest(corpus.iterdir())
    assert digest == DigestCache(tmp_path / "other.json").digest(corpus.iterdir())
    assert len(read_json(store)) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, corpus):
    place = tmp_path / "place"
    place.write_text("a file, where the folder of the cache should be")  # holds for root too, unlike permissions
    digest = DigestCache(place / "store.json").digest(corpus.iterdir())
    assert digest == DigestCache(tmp_path / "other.json").digest(corpus.iterdir())
