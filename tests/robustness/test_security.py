"""What comes from elsewhere runs no code, leaves its place nowhere, and secrets stay secret."""

import ast
import json
import os
import pickle
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import pytest
from hub_standin import HubStandIn
from project import PROJECT, link_project, snakemake
from safetensors.torch import load_file
from tiny_models import extract, save_random_tokens, save_tiny_model

from layerscope.io.errors import UserError
from layerscope.io.hdf5 import set_root_attributes
from layerscope.report.claims import ClaimRows, Verdict
from layerscope.report.figures import Figure
from layerscope.report.page import write_report
from layerscope.report.section import Section, Summary, run_rows
from layerscope.report.tables import Download, Table

SOURCES = [path for folder in ("src", "workflow") for path in (PROJECT / folder).rglob("*.py")]
RUN_CODE = {
    "pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "torch.load",
    "torch.jit.load",
    "numpy.load",
}
SHORT = {"np": "numpy", "pd": "pandas"}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return SHORT.get(node.id, node.id) if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_is_read_that_can_run_code(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            assert not names & RUN_CODE
        if isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            called = dotted(node.func)
            assert called not in RUN_CODE | {"eval", "exec", "pandas.read_pickle", "yaml.load", "os.system"}
            assert given.get("allow_pickle", "False") == given.get("shell", "False") == "False"
            if called.endswith((".from_pretrained", "AutoModel.from_config")):
                assert given.get("trust_remote_code") == "False"
            if called.endswith(".from_pretrained") and not called.endswith("Config.from_pretrained"):
                assert [ast.unparse(path) for path in node.args] == ["None"], "a folder can hold more than weights"


def test_the_search_above_covers_the_project_and_finds_what_it_is_for(tmp_path: Path) -> None:
    assert {"loading.py", "hub.py", "extract.py"} <= {path.name for path in SOURCES}
    for text in ("import pickle", "import torch\ntorch.load('a')", "AutoModel.from_pretrained('a')", "eval('1')"):
        (tmp_path / "code.py").write_text(text)
        with pytest.raises(AssertionError):
            test_nothing_is_read_that_can_run_code(tmp_path / "code.py")


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_the_bomb_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("weights", ["trained", "random"])
def test_code_in_a_model_folder_is_not_run(tmp_path: Path, weights: str) -> None:
    """A model of a supported architecture that brings code of its own is read by the code that transformers has."""
    mark, folder = tmp_path / "mark", tmp_path / "model"
    record = {**save_tiny_model("gpt2", folder), "weights": weights}
    (folder / "modeling.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass Own: pass\n")
    classes = {"AutoConfig": "modeling.Own", "AutoModel": "modeling.Own"}
    (folder / "config.json").write_text(
        json.dumps({**json.loads((folder / "config.json").read_text()), "auto_map": classes})
    )
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    save_random_tokens(tmp_path / "tokens.h5", 1, 16)
    extract(tmp_path / "tokens.h5", record, tmp_path / "shard.h5")
    assert not mark.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_pickled_weights_are_not_unpickled(tmp_path: Path, name: str) -> None:
    """Not even under the name of others."""
    folder, mark = tmp_path / "model", tmp_path / "mark"
    record = save_tiny_model("gpt2", folder)
    assert load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb(mark)))
    save_random_tokens(tmp_path / "tokens.h5", 1, 16)
    with pytest.raises(UserError, match=r"models\.gpt2: .* (cannot be loaded|pickled weights are not loaded)"):
        extract(tmp_path / "tokens.h5", record, tmp_path / "shard.h5")
    assert not mark.exists()


def test_script_of_a_data_set_is_not_run(tmp_path: Path, mini_tokenizer: dict) -> None:
    repository, mark = tmp_path / "repository", tmp_path / "mark"
    repository.mkdir()
    (repository / "scripted.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    (repository / "data.jsonl").write_text('{"text": "Once upon a time there was a test."}\n')
    fetch = FETCH.replace("acme/thing", "acme/scripted")
    with HubStandIn({"datasets/acme/scripted": {"main": repository}}) as hub:
        fetch = fetch.replace('"0" * 40', repr(hub.commit("datasets/acme/scripted")))
        done = subprocess.run(
            [sys.executable, "-c", fetch, mini_tokenizer["path"]],
            env=environment(tmp_path / "home", hub.endpoint),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    line = (
        "error: corpus x: acme/scripted cannot be read after 0 documents: RuntimeError: Dataset scripts are no longer"
    )
    assert line in done.stdout
    assert not mark.exists()


EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_text_from_elsewhere_is_text_in_the_report(tmp_path: Path) -> None:
    shown = ["model", "model_source", "model_commit", "corpus", "corpus_source", "corpus_commit", "tokenizer"]
    shown += ["dtype", "device", "batch_size", "attention_implementation", "sequence_length"]
    shown += ["weights", "torch_version", "transformers_version"]
    with h5py.File(tmp_path / "corpus.h5", "w") as file:
        set_root_attributes(file, {"format": "a", **{key: f"{key} {EVIL}" for key in shown}})
    with h5py.File(tmp_path / "sentences.h5", "w") as file:
        attributes = {"format": "a", **{key: EVIL for key in shown if not key.startswith("corpus")}}
        set_root_attributes(file, attributes | {key: f"{key} {EVIL}" for key in ("sentences", "target")})
    figure = Figure(
        name="figure",
        title=f"figure {EVIL}",
        caption=f"caption {EVIL}",
        image="data:image/png;base64,",
        width=1,
        vector=f"vector {EVIL}",
    )
    files = [str(tmp_path / "corpus.h5"), str(tmp_path / "sentences.h5")]
    table = Download(f"file {EVIL}", f"place {EVIL}", f"table {EVIL}", "data:text/csv;base64,", 1)
    section = Section(
        name="study",
        title=f"section {EVIL}",
        question=f"question {EVIL}",
        headline=f"headline {EVIL}",
        findings=[f"finding {EVIL}"],
        figures=[figure],
        downloads=[table],
        runs=run_rows(files, {"a": "place"}),
        facts={f"model {EVIL}": {f"fact {EVIL}": f"value {EVIL}"}},
        layers=Table([f"heading {EVIL}"], [[f"layer {EVIL}"]]),
        sample=[f"sample {EVIL}"],
        summary=Summary([f"column {EVIL}"], [[f"row {EVIL}", f"cell {EVIL}"]]),
    )
    of_claim = ["statement", "statistic", "criterion", "reference", "question"]
    of_verdict = ["models", "effect", "null", "verdict", "note"]
    words = {key: f"{key} {EVIL}" for key in (*of_claim, *of_verdict)}
    verdict = Verdict(untrained=False, **{key: words[key] for key in of_verdict})
    texts = {key: words[key] for key in of_claim}
    claim = ClaimRows(study="study", name="claim", **texts, about="model", of_training=True, verdicts=[verdict])
    shown += [
        *of_claim,
        *of_verdict,
        "vector",
        "sentences",
        "target",
        "Figure",
        "caption",
        "section",
        "headline",
        "finding",
    ]
    shown += [
        "table",
        "file",
        "place",
        "fact",
        "value",
        "heading",
        "layer",
        "sample",
        "column",
        "row",
        "cell",
        "setting",
    ]
    settings = {
        "sampling": {"sequences": 1, "stored_sequences": 1, "sequence_length": 1},
        "extraction": {"dtype": f"setting {EVIL}"},
    }
    write_report(str(tmp_path / "report.html"), [claim], table, [section], settings, PROJECT)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [key for key in shown if f"{key} {EVIL}" not in page.text.replace("target '", "target ")] == []
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]  # its own, which sorts tables
    assert [attributes.get("src") for tag, attributes in page.tags if tag == "img"] == [figure.image]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert {link for link in links if not link.startswith("#")} == {table.uri}


TOKEN = "hf_" + "secretSECRETsecret0123456789"
FETCH = """
import sys, time
from layerscope.io.errors import UserError
from layerscope.fetch import corpora, hub, models
from layerscope.tokenize.encoding import encode_part
time.sleep = lambda seconds: None  # between tries
spec = {"source": "acme/thing", "revision": None, "subset": None, "split": "train", "text_field": "text"}
spec |= {"digest": None}
mini = {"name": "mini", "path": sys.argv[1]}
web = {"name": "x", **spec, "commit": "0" * 40}
for fetch in (
    lambda: models.fetch_model("x", {**spec, "layers": 1, "weights": "trained"}, mini),
    lambda: models.fetch_tokenizer("x", spec),
    lambda: corpora.resolve_corpus("x", spec),
    lambda: encode_part(web, mini, 0, None, corpora.hub_documents, "part_0000.h5"),
    lambda: hub.download("acme/thing", "0" * 40, ["config.json"]),
):
    try:
        fetch()
    except UserError as error:
        print("error:", error)
"""


def environment(home: Path, endpoint: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {"HF_TOKEN": TOKEN, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1"}
    return {**inherited, **settings, "HF_UPDATE_DOWNLOAD_COUNTS": "0"}


def holds_token(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and TOKEN[5:].encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "refusing",
    [(401, "InvalidToken"), (401, "RepoNotFound"), (403, "GatedRepo"), (404, "RepoNotFound"), (429, ""), (500, "")],
)
def test_token_of_a_refused_fetch_is_nowhere(tmp_path: Path, mini_tokenizer: dict, refusing: tuple[int, str]) -> None:
    with HubStandIn({}, refusing=refusing) as hub:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", FETCH, mini_tokenizer["path"]],
            env={**environment(tmp_path / "home", hub.endpoint), "HF_DEBUG": "0"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and all(line.startswith("error: ") for line in lines), done.stdout
    assert f"Bearer {TOKEN}" in hub.authorizations  # it was used, and could have been shown
    assert TOKEN[5:] not in done.stdout + done.stderr
    assert not holds_token(tmp_path)


@pytest.mark.parametrize("refusing", [None, (401, "InvalidToken")])
def test_token_is_not_in_what_a_run_leaves(tmp_path: Path, refusing: tuple[int, str] | None) -> None:
    """Neither in results, logs and what Snakemake keeps, nor in what it prints, verbose as it can be."""
    link_project(tmp_path)
    study = {
        "tokenizers": {"hub": {"source": "acme/mini"}},
        "models": {"neo": {"source": "acme/neo", "tokenizer": "hub", "layers": 2}},
        "studies": {"token_length": {"models": ["neo"], "pairs": [], "histogram_layer": 1}, "path_length": None},
    }
    (tmp_path / "study.json").write_text(
        json.dumps({**study, "studies": {**study["studies"], "token_similarity": None}})
    )
    model = tmp_path / "repositories/model"
    save_tiny_model("gpt_neo", model, vocab_size=8192, num_layers=2, attention_types=[[["global", "local"], 1]])
    repositories = {
        "models/acme/neo": {"main": model},
        "models/acme/mini": {"main": PROJECT / "resources/tokenizers/mini"},
    }
    arguments = ["--cores", "1", "--verbose", "--configfile", "study.json", "--until", "fetch_model"]
    with HubStandIn(repositories, refusing=refusing) as hub:
        settings = environment(tmp_path / "home", hub.endpoint)
        done = snakemake(tmp_path, *arguments, fresh=True, environment=settings)
    assert (done.returncode == 0) == (refusing is None), done.stderr
    assert f"Bearer {TOKEN}" in hub.authorizations
    assert TOKEN[5:] not in done.stdout + done.stderr
    assert not holds_token(tmp_path)


def test_others_may_write_nothing_that_a_run_leaves(tmp_path: Path) -> None:
    """Whatever the umask; what it forbids besides stays forbidden."""
    for umask, forbidden in ((0o000, 0o002), (0o027, 0o027)):
        folder = tmp_path / f"{umask:03o}"
        folder.mkdir()
        link_project(folder)
        target = "results/tokens/mini/embedded/shard_0000.h5"
        done = snakemake(folder, "--cores", "1", "--", target, umask=umask)
        assert done.returncode == 0, done.stderr
        made = [path for name in ("results", "logs") for path in (folder / name).rglob("*")]
        assert folder / target in made and len(made) > 10
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in made}
        assert not {path: oct(mode) for path, mode in modes.items() if mode & forbidden}


@pytest.mark.slow
def test_targets_lead_nowhere_else(tmp_path: Path) -> None:
    link_project(tmp_path)
    for target in (
        "results/sources/corpora/../../../x.json",
        "results/sources/tokenizers/...json",
        "results/../x.json",
    ):
        done = snakemake(tmp_path, "--cores", "1", "--", target)
        assert done.returncode != 0
        assert "MissingRuleException" in done.stderr
    assert not (tmp_path / "results").exists() and not list(tmp_path.glob("*.json"))
