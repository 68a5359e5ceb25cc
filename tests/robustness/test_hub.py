"""The hub through its real clients, against a stand-in on loopback.

The clients read their settings when they are imported, so every question to them is put in a process of its own.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from shutil import copytree
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_standin import Handler, HubStandIn, environment
from project import link_project, snakemake
from tiny_models import save_tiny_model

from layerscope.extract.activation_shards import ActivationShard
from layerscope.io.errors import UserError
from layerscope.io.files import read_json
from layerscope.tokenize.encoded_documents import EncodedDocuments, documents_in, read_part
from layerscope.tokenize.encoding import token_runs
from layerscope.tokenize.tokenize_shard import tokenize_shard
from layerscope.tokenize.tokenizer import load_tokenizer

CLIENT = """
import json, os, sys, time
from layerscope.io.errors import UserError
from layerscope.fetch import corpora, models
time.sleep = lambda seconds: None  # between tries
if "PATIENCE" in os.environ:
    from layerscope.fetch import client
    client.PATIENCE = float(os.environ["PATIENCE"])
if "UNIT" in os.environ:
    from layerscope.tokenize import encoded_documents
    encoded_documents.UNIT = int(os.environ["UNIT"])
if "BLOCK" in os.environ:  # how much of a file is read at least
    from huggingface_hub.hf_file_system import HfFileSystemFile
    HfFileSystemFile.DEFAULT_BLOCK_SIZE = int(os.environ["BLOCK"])
def fetch_documents(name, corpus, tokenizer, folder, first=0, last=0):
    from layerscope.tokenize.encoding import encode_part
    place = folder + "/part_{:04d}.h5"
    for part in range(first, last + 1):
        previous = place.format(part - 1) if part else None
        record = {"name": name, "content": None, **corpus}
        encode_part(record, tokenizer, part, previous, corpora.hub_documents, place.format(part))
functions = {**vars(corpora), **vars(models), "fetch_documents": fetch_documents}
answers = []
for function, *arguments in json.load(sys.stdin):
    try:
        answers.append(functions[function](*arguments))
    except UserError as error:
        answers.append(f"error: {error}")
print(json.dumps(answers))
"""
CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*/*
- config_name: sample-10BT
  data_files:
  - split: train
    path: sample/10BT/*
---
# A web corpus
"""
LAYERS = 2
PIECES = ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
MODEL = {"source": "acme/tiny-neo", "revision": None, "layers": LAYERS, "weights": "trained", "digest": None}
TOKENIZER = {"source": "acme/mini", "revision": None, "digest": None}
CORPUS = {"source": "acme/web", "revision": None, "subset": "sample-10BT", "split": "train", "text_field": "text"}
CORPUS |= {"digest": None}
SAMPLING = {"sequences": 4, "sequence_length": 64, "sequences_per_shard": 2}


@pytest.fixture(scope="module")
def texts(project: Path) -> list[str]:
    lines = (project / "resources/corpus/documents.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory, project: Path, texts: list[str]) -> dict[str, Any]:
    """A model, a tokenizer and a data set, each with an older revision ``v1``, and repositories to be refused."""
    root = tmp_path_factory.mktemp("repositories")
    model, pieces, pickled = root / "model", root / "pieces", root / "pickled"
    save_tiny_model(
        "gpt_neo", model, vocab_size=8192, num_layers=LAYERS, attention_types=[[["global", "local"], LAYERS // 2]]
    )
    for folder, names in (
        (model, ["pytorch_model.bin", "consolidated.safetensors"]),
        (pieces, PIECES),
        (pickled, ["pytorch_model.bin"]),
    ):
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_bytes((model / "config.json").read_bytes())
        for name in names:
            (folder / name).write_text(f"stands for {name}")
    (pieces / PIECES[0]).write_text(json.dumps({"weight_map": {piece: piece for piece in PIECES[1:]}}))
    foreign, bloom = root / "foreign", root / "bloom"
    for folder, changes in ((foreign, {"vocab_size": 211}), (bloom, {"model_type": "bloom"})):
        folder.mkdir()
        changed = {**json.loads((model / "config.json").read_text()), **changes}
        (folder / "config.json").write_text(json.dumps(changed))
        (folder / "model.safetensors").write_text("is not to be asked for")
    web, older = root / "web", root / "older web"
    write_web(web, texts)
    write_web(older, texts[30:])
    lines = root / "lines"
    lines.mkdir()
    (lines / "data.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in texts))
    tokenizer, older_tokenizer = project / "resources/tokenizers/mini", root / "older tokenizer"
    copytree(tokenizer, older_tokenizer)
    (older_tokenizer / "README.md").write_text("An older revision")
    return {
        "models/acme/tiny-neo": {"main": model, "v1": pieces},
        "models/acme/mini": {"main": tokenizer, "v1": older_tokenizer},
        "models/acme/gated": {"main": model},
        "models/acme/pickled": {"main": pickled},
        "models/acme/foreign": {"main": foreign},
        "models/acme/bloom": {"main": bloom},
        "datasets/acme/web": {"main": web, "v1": older},
        "datasets/acme/lines": {"main": lines},
        "datasets/acme/gated": {"main": web},
    }


def write_web(folder: Path, texts: list[str]) -> None:
    """A data set in the shape of FineWeb: a sample in three files, and another subset that is the default."""
    for name, part in (
        ("sample/10BT/000_00000", texts[:20]),
        ("sample/10BT/001_00000", texts[20:30]),
        ("sample/10BT/002_00000", texts[30:]),
        ("data/CC-MAIN-2013-20/000_00000", texts[::-1]),
    ):
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {
            "text": part,
            "id": [f"<urn:uuid:{i}>" for i in range(len(part))],
            "dump": ["CC-MAIN-2013-20"] * len(part),
            "url": ["http://example.org/"] * len(part),
            "date": ["2013-05-18T05:48:54Z"] * len(part),
            "file_path": ["s3://example/warc.gz"] * len(part),
            "language": ["en"] * len(part),
            "language_score": [0.97] * len(part),
            "token_count": [len(text) // 4 for text in part],
        }
        pq.write_table(pa.table(columns), path, row_group_size=8)
    (folder / "README.md").write_text(CARD)


@pytest.fixture
def hub(repositories: dict[str, Any]) -> Iterator[HubStandIn]:
    with HubStandIn(repositories, gated={"models/acme/gated", "datasets/acme/gated"}) as hub:
        yield hub


def ask(endpoint: str, home: Path, *calls: tuple, **more: str) -> list[Any]:
    """What functions of ``layerscope.fetch`` return, or the line of their UserError, in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT],
        input=json.dumps(calls),
        env=environment(endpoint, home, **more),
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def files_asked(hub: HubStandIn) -> set[str]:
    """Names of the files whose content was sent for."""
    return {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request and request[:3] == "GET"}


@pytest.mark.parametrize(("revision", "weights"), [(None, ["model.safetensors"]), ("v1", PIECES)])
def test_model(hub: HubStandIn, tmp_path: Path, mini_tokenizer: dict, revision: str | None, weights: list[str]) -> None:
    [record] = ask(hub.endpoint, tmp_path, ("fetch_model", "neo", {**MODEL, "revision": revision}, mini_tokenizer))
    commit = hub.commit("models/acme/tiny-neo", revision or "main")
    expected = {"name": "neo", "source": "acme/tiny-neo", "commit": commit, "model_type": "gpt_neo"}
    assert {key: record[key] for key in expected} == expected
    assert {path.name for path in Path(record["path"]).iterdir()} == {"config.json", *weights}
    assert files_asked(hub) == {"config.json", *weights}, "neither pickles nor copies for other programs"


def test_of_a_model_with_random_weights_only_the_configuration_is_fetched(
    hub: HubStandIn, tmp_path: Path, mini_tokenizer: dict
) -> None:
    [record] = ask(hub.endpoint, tmp_path, ("fetch_model", "neo", {**MODEL, "weights": "random"}, mini_tokenizer))
    assert record["weights"] == "random"
    assert files_asked(hub) == {"config.json"}


def test_tokenizer(hub: HubStandIn, tmp_path: Path, texts: list[str], mini_tokenizer: dict) -> None:
    calls = [("fetch_tokenizer", "mini", {**TOKENIZER, "revision": revision}) for revision in (None, "v1")]
    newest, older = ask(hub.endpoint, tmp_path, *calls)
    assert [newest["commit"], older["commit"]] == [hub.commit("models/acme/mini", name) for name in ("main", "v1")]
    assert newest["commit"] != older["commit"]
    assert load_tokenizer(newest).encode(texts[:1]) == load_tokenizer(mini_tokenizer).encode(texts[:1])


@pytest.mark.parametrize(("revision", "first"), [(None, 0), ("v1", 30)])
def test_documents(
    hub: HubStandIn, tmp_path: Path, texts: list[str], mini_tokenizer: dict, revision: str | None, first: int
) -> None:
    """They are the first of the data set in its order, as far as a part goes, and the next part goes on from there."""
    corpus = {**CORPUS, "revision": revision}
    [record] = ask(hub.endpoint, tmp_path, ("resolve_corpus", "web", corpus))
    commit = hub.commit("datasets/acme/web", revision or "main")
    assert record == {
        "name": "web",
        "source": "acme/web",
        "subset": "sample-10BT",
        "split": "train",
        "text_field": "text",
        "commit": commit,
        "content": None,
        "files": None,
    }
    lengths = [len(ids) for ids in token_runs(load_tokenizer(mini_tokenizer), texts[first:])]
    unit = sum(lengths[:12])
    fetched = [("fetch_documents", "web", record, mini_tokenizer, str(tmp_path), part, part) for part in range(2)]
    ask(hub.endpoint, tmp_path, *fetched, UNIT=str(unit))
    assert all(commit in request for request in hub.requests if "/resolve/" in request)
    assert files_asked(hub) == {"README.md", "000_00000.parquet", "001_00000.parquet"}, "no file beyond the parts"
    few, more = (read_part(tmp_path / f"part_{part:04d}.h5")[0] for part in range(2))
    assert (few.documents, few.tokens, few.ended) == (12, unit, False)
    assert 20 < more.documents < 30 and sum(lengths[: more.documents - 1]) < 2 * unit <= more.tokens
    assert texts_of([few, more], mini_tokenizer) == texts[first : first + more.documents]

    rest = ("fetch_documents", "web", record, mini_tokenizer, str(tmp_path), 2, 8)
    ask(hub.endpoint, tmp_path, rest, UNIT=str(unit))
    encoded = [read_part(tmp_path / f"part_{part:04d}.h5")[0] for part in range(9)]
    assert encoded[-1].ended and encoded[-1].rows == len(texts[first:])
    assert texts_of(encoded, mini_tokenizer) == texts[first:]


def texts_of(parts: list[EncodedDocuments], tokenizer: dict) -> list[str]:
    return load_tokenizer(tokenizer).decode([ids[:-1].tolist() for ids in documents_in(parts)])


def test_a_larger_sample_downloads_only_what_it_adds(tmp_path: Path, texts: list[str], mini_tokenizer: dict) -> None:
    """Of a Parquet file, no row group of which all documents were read; the one in which a part ends is read again."""
    texts = [f"{number} {text}" for number in range(4) for text in texts]
    folder = tmp_path / "large"
    folder.mkdir()
    table = pa.table({"text": texts})
    pq.write_table(table, folder / "all.parquet", row_group_size=8, compression="none", use_dictionary=False)
    groups = pq.read_metadata(folder / "all.parquet")
    columns = [groups.row_group(number).column(0) for number in range(groups.num_row_groups)]
    begin = [column.data_page_offset for column in columns]
    # With what is read of the end of a file at once, for its metadata.
    assert begin[12] < (folder / "all.parquet").stat().st_size - 2**16
    lengths = [len(ids) for ids in token_runs(load_tokenizer(mini_tokenizer), texts)]
    settings = {"UNIT": str(sum(lengths[:20])), "BLOCK": "100"}
    with HubStandIn({"datasets/acme/large": {"main": folder}}) as hub:
        record = {**CORPUS, "source": "acme/large", "subset": None, "commit": hub.commit("datasets/acme/large")}
        encoded, read = [], []
        for part in range(4):
            hub.ranges.clear()
            fetching = ("fetch_documents", "large", record, mini_tokenizer, str(tmp_path), part, part)
            assert ask(hub.endpoint, tmp_path, fetching, **settings) == [None]
            encoded.append(read_part(tmp_path / f"part_{part:04d}.h5")[0])
            # The bytes between two blocks before the row group and two before its end.
            within = pairwise(begin)
            sent = [(start, stop) for _, start, stop in hub.ranges]
            read.append([any(a < stop - 200 and b > start + 200 for a, b in sent) for start, stop in within])
    assert texts_of(encoded, mini_tokenizer) == texts[: encoded[-1].documents]
    for number, part in enumerate(encoded):
        first, last = (encoded[number - 1].rows if number else 0) // 8, (part.rows - 1) // 8
        assert read[number][:12] == [first <= group <= last for group in range(12)]


def test_documents_of_a_data_set_that_is_not_parquet(
    hub: HubStandIn, tmp_path: Path, texts: list[str], mini_tokenizer: dict
) -> None:
    record = {"source": "acme/lines", "subset": None, "split": "train", "text_field": "body"}
    record |= {"commit": hub.commit("datasets/acme/lines"), "content": None}
    ask(
        hub.endpoint,
        tmp_path,
        ("fetch_documents", "lines", record, mini_tokenizer, str(tmp_path), 0, 2),
        UNIT="5000",
    )
    encoded = [read_part(tmp_path / f"part_{part:04d}.h5")[0] for part in range(3)]
    assert encoded[-1].tokens >= 15_000 and 0 < encoded[0].rows < encoded[1].rows < encoded[2].rows < len(texts)
    assert texts_of(encoded, mini_tokenizer) == texts[: encoded[-1].documents]


GONE = "hub: cannot be reached for {source} ("
OFFLINE = "hub: {source} cannot be fetched while HF_HUB_OFFLINE is set: unset it"


@pytest.mark.parametrize(
    ("source", "revision", "settings", "line"),
    [
        ("acme/gated", None, {}, "hub: {source} is gated: accept its terms on the hub and log in"),
        ("acme/missing", None, {}, "hub: {source} does not exist or is private: check the id"),
        ("acme/a--b", None, {}, "hub: '{source}' is not a valid hub id; write owner/name"),
        (None, "v9", {}, "hub: {source} has no revision 'v9'; name a branch, tag or commit it has"),
        (None, None, {"HF_HUB_OFFLINE": "1"}, OFFLINE),
        (None, None, {"HF_ENDPOINT": "gone"}, GONE),
    ],
)
def test_trouble_is_one_line(
    hub: HubStandIn,
    tmp_path: Path,
    mini_tokenizer: dict,
    source: str | None,
    revision: str | None,
    settings: dict[str, str],
    line: str,
) -> None:
    if "HF_ENDPOINT" in settings:
        with HubStandIn({}) as gone:
            settings = {"HF_ENDPOINT": gone.endpoint}
    calls = {"fetch_model": MODEL, "fetch_tokenizer": TOKENIZER, "resolve_corpus": CORPUS}
    specs = [{**spec, "source": source or spec["source"], "revision": revision} for spec in calls.values()]
    arguments = [(function, "x", spec) for function, spec in zip(calls, specs, strict=True)]
    arguments[0] = (*arguments[0], mini_tokenizer)
    for spec, answer in zip(specs, ask(hub.endpoint, tmp_path, *arguments, **settings), strict=True):
        assert answer.startswith("error: " + line.format(source=spec["source"]))
        assert answer.endswith("; the default study (snakemake without --configfile) needs no network")
        assert "\n" not in answer
    assert not files_asked(hub)


def refusal(status: int) -> Callable[[Handler], None]:
    return lambda hub: hub.refuse(status, "")


def page(hub: Handler) -> None:
    hub.send(200, "<html>Welcome to our hotel</html>", {"Content-Type": "text/html; charset=utf-8"})


def redirect(hub: Handler) -> None:
    """To the page of another host, where a network wants a login."""
    hub.send(302, "", {"Location": f"http://localhost:{hub.server.server_port}/login"})


def fetches(hub: HubStandIn, tokenizer: dict[str, Any], folder: Path) -> dict[str, tuple]:
    """A call of every function that asks the hub, by name."""
    calls: dict[str, tuple] = {
        "resolve_corpus": ("web", CORPUS),
        "fetch_tokenizer": ("mini", TOKENIZER),
        "fetch_model": ("neo", MODEL, tokenizer),
    }
    for name, spec in {"web": CORPUS, "lines": {**CORPUS, "subset": None, "text_field": "body"}}.items():
        record = {**spec, "source": f"acme/{name}", "commit": hub.commit(f"datasets/acme/{name}")}
        calls[f"fetch_documents {name}"] = (name, record, tokenizer, str(folder))
    return {name: (name.split()[0], *arguments) for name, arguments in calls.items()}


DOCUMENTS = ["fetch_documents web", "fetch_documents lines"]
DOWNLOADS = ["fetch_tokenizer", "fetch_model"]
RESOLVERS = [*DOWNLOADS, "resolve_corpus"]
FILE, DATA, ABOUT, ALL = r"/resolve/", r"GET .*(\.parquet|data\.jsonl)$", r"/api/\w+/acme/[\w-]+$", r" /(?!login)"
BUSY = " (HTTP 429 Too Many Requests); try again later, or log in with `hf auth login`, which allows more; "
NOT_THE_HUB = (
    ", so it is not the hub: log in to this network in a browser if it wants that, and check HF_ENDPOINT and "
    "HTTPS_PROXY; "
)


@pytest.mark.parametrize(
    ("place", "answer", "calls", "line"),
    [
        (FILE, refusal(429), [*DOWNLOADS, *DOCUMENTS], BUSY),
        (FILE, refusal(503), [*DOWNLOADS, *DOCUMENTS], " (HTTP 503 Service Unavailable); try again later; "),
        (DATA, refusal(429), DOCUMENTS, BUSY),
        (DATA, refusal(502), DOCUMENTS, " (HTTP 502 Bad Gateway); try again later; "),
        (ALL, refusal(429), [*RESOLVERS, *DOCUMENTS], BUSY),
        (ALL, refusal(407), RESOLVERS, " (HTTP 407 Proxy Authentication Required); write the proxy's user name and "),
        (ALL, page, [*RESOLVERS, *DOCUMENTS], f": 127.0.0.1 answers with a web page{NOT_THE_HUB}"),
        (FILE, page, [*DOWNLOADS, *DOCUMENTS], f": 127.0.0.1 answers with a web page{NOT_THE_HUB}"),
        (ALL, redirect, RESOLVERS, f": localhost answers with a web page{NOT_THE_HUB}"),
        (FILE, redirect, [*DOWNLOADS, *DOCUMENTS], f" reports no commit for a file{NOT_THE_HUB}"),
        (ABOUT, lambda hub: hub.send(200, '{"id": "acme/it"}'), RESOLVERS, f" reports no commit (sha){NOT_THE_HUB}"),
        (ABOUT, lambda hub: hub.send(200, "[3]"), RESOLVERS, " (TypeError: "),
        (ABOUT, lambda hub: hub.send(200, "{"), RESOLVERS, " (JSONDecodeError: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_line_says_what_was_answered(
    repositories: dict[str, Any],
    tmp_path: Path,
    mini_tokenizer: dict,
    place: str,
    answer: Callable[[Handler], None],
    calls: list[str],
    line: str,
) -> None:
    """Whatever the clients make of it."""
    with HubStandIn(repositories, instead={place: answer, "/login": page}) as hub:
        every = fetches(hub, mini_tokenizer, tmp_path)
        answers = ask(hub.endpoint, tmp_path, *(every[name] for name in calls), NO_PROXY="*")
    for name, said in zip(calls, answers, strict=True):
        assert said.startswith(f"error: hub: {every[name][2]['source']} could not be fetched"), (name, said)
        assert line in said and said.endswith("needs no network") and "\n" not in said, (name, said)
    assert not list(tmp_path.glob("*part_*"))


@pytest.mark.parametrize(
    ("place", "calls"),
    [(ABOUT, RESOLVERS), ("/tree/", DOWNLOADS), (FILE, DOWNLOADS), ("GET .*/resolve/", DOWNLOADS), (DATA, DOCUMENTS)],
)
def test_answer_that_drips_is_given_up(
    repositories: dict[str, Any], tmp_path: Path, mini_tokenizer: dict, place: str, calls: list[str]
) -> None:
    """Metadata, files and ranges of files; the headers, since it takes a second to send them."""
    with HubStandIn(repositories, instead={place: lambda hub: hub.drip(bytes(10**6))}) as hub:
        every = fetches(hub, mini_tokenizer, tmp_path)
        answers = ask(hub.endpoint, tmp_path, *(every[name] for name in calls), PATIENCE="0.4")
    for name, said in zip(calls, answers, strict=True):
        begin = f"error: hub: {every[name][2]['source']} could not be fetched: it answers at "
        end = " bytes per second; "
        assert said.startswith(begin) and end in said, (name, said)
        assert 10 < int(said.removeprefix(begin).partition(end)[0]) < 60


def test_content_that_drips_is_given_up_and_a_usable_speed_is_not(repositories: dict[str, Any], tmp_path: Path) -> None:
    def padded(hub: Handler, at_once: int) -> None:
        about = json.dumps({"id": "acme/web", "sha": "0" * 40, "gated": False, "siblings": []})
        hub.drip(about.encode().ljust(100 * at_once), at_once)

    for at_once, answered in ((100, True), (2, False)):
        with HubStandIn(repositories, instead={ABOUT: lambda hub, at_once=at_once: padded(hub, at_once)}) as hub:
            [answer] = ask(hub.endpoint, tmp_path, ("resolve_corpus", "web", CORPUS), PATIENCE="0.4")
        assert answered == (not isinstance(answer, str)), answer


# An answer as the client reads it: bytes that come, after how many seconds.
BYTES_AND_SECONDS = {
    "it starts late": ([(10, 100), (5000, 1), (5000, 1)], True),
    "small and slow to start": ([(10, 100)], True),
    "long, at a usable speed": ([(1200, 1)] * 500, True),
    "it drips": ([(1, 1)] * 500, False),
    "it drips after a fast start": ([(10**6, 1)] * 100 + [(1, 1)] * 500, False),
    "the headers of a second answer drip": ([(10**6, 1)] * 3 + [None] + [(1, 1)] * 500, False),
    "many answers": ([(1, 20), (1, 20), None] * 100, True),
}


@pytest.mark.parametrize(("reads", "whole"), BYTES_AND_SECONDS.values(), ids=BYTES_AND_SECONDS)
def test_which_answers_are_too_slow(reads: list, whole: bool) -> None:
    """None stands for a new request; the reader takes a minute after every read."""
    script = f"""
import time, httpcore2
from layerscope.fetch.client import NoAnswer, PatientStream
now, left = 0.0, {reads!r}
class Stream(httpcore2.NetworkStream):
    def read(self, max_bytes, timeout=None):
        global now
        count, seconds = left.pop(0)
        now += seconds
        return bytes(count)
    def write(self, buffer, timeout=None): pass
time.monotonic = lambda: now
stream = PatientStream(Stream())
stream.write(b"GET")
try:
    while left:
        if left[0] is None:
            left.pop(0)
            stream.write(b"GET")
        else:
            stream.read(65536)
            now += 60
except NoAnswer as error:
    print(len(left), error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout == "") == whole, done.stdout
    if not whole:
        left, _, line = done.stdout.partition(" ")
        assert 500 - 2 * 32 <= int(left) <= 500 - 32, "the patience, or twice that where it was fast before"
        assert line.startswith("it answers at 1 bytes per second")


JOB = """
import json, sys
from types import SimpleNamespace
from layerscope.fetch.models import fetch_tokenizer
from layerscope.workflow.job import job
with job(SimpleNamespace(rule="fetch_tokenizer", wildcards={"tokenizer": "mini"}, log=["job.log"]), network=True):
    fetch_tokenizer("mini", json.load(sys.stdin))
"""


def fail(home: Path, settings: dict[str, str]) -> tuple[str, str]:
    """The last line on standard error of a job that fetches a tokenizer in vain, and all that it printed and logged."""
    done = subprocess.run(
        [sys.executable, "-c", JOB],
        input=json.dumps(TOKENIZER),
        env=settings,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1], done.stdout + done.stderr + (home / "job.log").read_text()


SECRET = "pa55word"


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"HF_ENDPOINT": "http://me:{secret}@{hub}"},
        {"HF_ENDPOINT": "http://me:x#{secret}@{hub}"},
        {"HF_ENDPOINT": "http://hub.test", "HTTP_PROXY": "http://me:{secret}@{hub}"},
        {"HF_ENDPOINT": "https://hub.test", "HTTPS_PROXY": "http://me:{secret}@{hub}"},
        {"HF_ENDPOINT": "https://hub.test", "HTTPS_PROXY": "http://me:{secret}#{secret}@{hub}"},
        {"HF_ENDPOINT": "https://hub.test", "ALL_PROXY": "socks://me:{secret}@{hub}"},
        {"HF_TOKEN": "hf_{secret}{secret}{secret}"},
        {"HF_TOKEN": "hf_{secret}{secret}\n{secret}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [302, 407, 500])
def test_password_is_neither_printed_nor_logged(
    repositories: dict[str, Any], tmp_path: Path, settings: dict[str, str], status: int
) -> None:
    """Not that of the settings, and not the signature in the address to which the hub refers for a large file."""

    def answer(hub: Handler) -> None:
        if status == 302 and "/blob" not in hub.path:
            return hub.send(302, "", {"Location": f"/blob?Signature={SECRET}"})
        return hub.send(500 if status == 302 else status, f"You sent {hub.headers['Authorization']}")

    with HubStandIn(repositories, instead={"": answer}) as hub:
        address = hub.endpoint.removeprefix("http://")
        settings = {name: value.format(secret=SECRET, hub=address) for name, value in settings.items()}
        line, shown = fail(tmp_path, environment(hub.endpoint, tmp_path / "home", **{"NO_PROXY": "", **settings}))
    assert line.startswith("layerscope: fetch_tokenizer mini: ") and "unexpected" not in line
    assert SECRET not in shown


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE"])
def test_folder_that_cannot_be_used_is_named(hub: HubStandIn, tmp_path: Path, variable: str) -> None:
    occupied = tmp_path / "a file"
    occupied.write_text("")
    settings = environment(hub.endpoint, tmp_path / "home", **{variable: str(occupied)})
    line, _ = fail(tmp_path, settings)
    assert line.startswith(
        f"layerscope: fetch_tokenizer mini: hub: acme/mini cannot be stored in {variable}={occupied} ({occupied}"
    )
    assert "); name a folder that can be written; " in line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            "OSError(28, 'No space left on device')",
            "cannot be stored in HF_HOME={home} (No space left on device); free some",
        ),
        (
            "OSError(30, 'Read-only file system', '{home}/hub')",
            "cannot be stored in HF_HOME={home} ({home}/hub: Read-only",
        ),
        ("KeyError('id')", "could not be fetched (KeyError: 'id'); "),
        (
            r"OSError('Consistency check failed:\n3 is not 4')",
            "could not be fetched (OSError: Consistency check failed: 3",
        ),
    ],
)
def test_error_that_was_not_foreseen_is_one_line(tmp_path: Path, error: str, line: str) -> None:
    script = (
        "import sys; from layerscope.io.errors import UserError; from layerscope.fetch import hub\n"
        "try:\n"
        "    with hub.one_line_errors('acme/mini', None):\n"
        f"        raise {error}\n"
        "except UserError as error:\n"
        "    print(error)"
    ).replace("{home}", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment("http://127.0.0.1:9", tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(f"hub: acme/mini {line}".replace("{home}", str(tmp_path))), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1


def test_models_that_are_refused_are_not_downloaded(hub: HubStandIn, tmp_path: Path, mini_tokenizer: dict) -> None:
    pickled, layers, foreign, bloom, tokenizer = ask(
        hub.endpoint,
        tmp_path,
        ("fetch_model", "old", {**MODEL, "source": "acme/pickled"}, mini_tokenizer),
        ("fetch_model", "neo", {**MODEL, "layers": 7}, mini_tokenizer),
        ("fetch_model", "neo", {**MODEL, "source": "acme/foreign"}, mini_tokenizer),
        ("fetch_model", "big", {**MODEL, "source": "acme/bloom"}, mini_tokenizer),
        ("fetch_tokenizer", "bare", {**TOKENIZER, "source": "acme/pickled"}),
    )
    assert pickled == (
        "error: models.old: acme/pickled holds no model.safetensors or model.safetensors.index.json; pickled weights "
        "are not loaded: name a repository, revision or folder with safetensors"
    )
    assert layers == "error: config: models.neo.layers: 7 is not what the model has; write layers: 2"
    assert foreign == (
        "error: config: models.neo.tokenizer: 'mini' has token ids up to 8191, beyond the model's vocabulary of 211; "
        "name the tokenizer it was trained with"
    )
    assert bloom.startswith("error: models.big: architecture 'bloom' is not supported; supported are gpt_neo, ")
    assert tokenizer == "error: tokenizers.bare: acme/pickled holds no tokenizer.json; a fast tokenizer is needed"
    assert files_asked(hub) == {"config.json"}


def test_corpora_that_are_refused(hub: HubStandIn, tmp_path: Path, texts: list[str], mini_tokenizer: dict) -> None:
    commit = hub.commit("datasets/acme/web")

    def fetch(**changes: object) -> tuple:
        return "fetch_documents", "web", {**CORPUS, "commit": commit, **changes}, mini_tokenizer, str(tmp_path)

    subset, split, field, gated = ask(
        hub.endpoint,
        tmp_path,
        fetch(subset="sample-10bt"),
        fetch(split="test"),
        fetch(text_field="body"),
        fetch(source="acme/gated"),
    )
    assert subset == "error: corpora.web.subset: sample-10bt is not a subset of acme/web; it has default, sample-10BT"
    assert split == "error: corpora.web.split: test is not a split of acme/web; it has train"
    assert field.startswith("error: corpus web: document 0 has no field 'body'; it has text, id, dump, url, date,")
    assert gated.startswith("error: corpus web: acme/gated cannot be read after 0 documents: DatasetNotFoundError: ")
    [offline] = ask(hub.endpoint, tmp_path, fetch(), HF_HUB_OFFLINE="1")
    assert offline.startswith("error: hub: acme/web cannot be fetched while HF_HUB_OFFLINE is set: unset it")
    assert not any("\n" in answer for answer in (subset, split, field, gated, offline))
    assert not list(tmp_path.glob("*part_*")), "a part that is not whole is not left behind"

    ask(hub.endpoint, tmp_path, fetch())
    with pytest.raises(UserError, match=f"^corpus web: its {len(texts)} documents give .* but shard 0 ends at") as size:
        tokenize_shard([str(tmp_path / "part_0000.h5")], {"sequences_per_shard": 1, "sequence_length": 10**6}, 0)
    assert "lower sampling.sequences_per_shard or sampling.sequence_length, or add documents" in str(size.value)


@pytest.mark.slow
def test_only_fetching_needs_the_hub(hub: HubStandIn, tmp_path: Path) -> None:
    """A study from the hub to its table: once everything is fetched, no job asks any hub for anything."""
    link_project(tmp_path)
    study = {
        "models": {"neo": {"source": "acme/tiny-neo", "tokenizer": "hub-mini", "layers": LAYERS}},
        "tokenizers": {"hub-mini": {"source": "acme/mini"}},
        "corpora": {"web": {"source": "acme/web", "subset": "sample-10BT"}},
        "sampling": SAMPLING,
        "studies": {"token_length": {"models": ["neo"], "pairs": [], "corpus": "web", "histogram_layer": 1}},
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    sources = {
        "models/neo": hub.commit("models/acme/tiny-neo"),
        "tokenizers/hub-mini": hub.commit("models/acme/mini"),
        "corpora/web": hub.commit("datasets/acme/web"),
    }

    def run(settings: dict[str, str], *targets: str, options: tuple[str, ...] = ()) -> str:
        options = ("--cores", "2", "--configfile", "study.yaml", *options)
        done = snakemake(tmp_path, *options, "--", *targets, fresh=True, environment=settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def plan(*targets: str, **changes: dict[str, Any]) -> dict[str, int]:
        """Rule → number of its jobs after a change of the configuration."""
        (tmp_path / "study.yaml").write_text(json.dumps({**study, **changes}))
        shown = run(offline, *targets, options=("--dry-run", "--quiet", "rules"))
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", shown, re.MULTILINE)}

    online = environment(hub.endpoint, tmp_path / "home")
    tables = ["results/token_length/layers.csv", "results/tokens/hub-mini/web/frequency.parquet"]
    fetching = ("fetch_model", "fetch_documents")
    run(online, *tables, options=("--until", *fetching))
    records = {name: list((tmp_path / "results/sources" / name).iterdir()) for name in sources}
    assert {name: read_json(record)["commit"] for name, [record] in records.items()} == sources
    assert [path.name for path in (tmp_path / "results/documents/hub-mini/web").iterdir()] == ["part_0000.h5"]

    with HubStandIn({}) as silent:
        proxies = {"HTTP_PROXY": silent.endpoint, "HTTPS_PROXY": silent.endpoint}
        offline = environment(silent.endpoint, tmp_path / "another home", **proxies)
        run(offline, *tables)
    assert silent.requests == []
    table = pd.read_csv(tmp_path / "results/token_length/layers.csv")
    assert table["model"].tolist() == ["neo"] * LAYERS
    with ActivationShard(tmp_path / "results/activations/neo/web/shard_0001.h5") as shard:
        assert shard.attributes["model_commit"] == sources["models/neo"]
        assert shard.attributes["tokenizer_commit"] == sources["tokenizers/hub-mini"]
        assert shard.attributes["corpus_commit"] == sources["corpora/web"]

    # A larger sample fetches what it lacks, and all that follows is in the same plan; the shards before it stay.
    assert plan(*tables) == {}
    follows = {"vocabulary": 1, "correlate_token_length": LAYERS, "summarize_token_length": 1}
    new = {"tokenize": 1, "extract": 1, "summarize_stored": 1}
    assert plan(*tables, sampling={**SAMPLING, "sequences": 6}) == {**new, **follows, "total": 4 + LAYERS + 1}
    follows |= {"summarize_stored": 2}
    for tokens, counted in ((2000, {}), (2**20, {}), (2**20 + 1, {"fetch_documents": 1})):
        counting = {"token_length": {**study["studies"]["token_length"], "frequency_tokens": tokens}}
        rules = {**counted, "count_tokens": 1, **follows}
        assert plan(*tables, studies=counting) == {**rules, "total": sum(rules.values())}
