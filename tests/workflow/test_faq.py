"""docs/faq.md quotes messages as they are in the code, and has those whose remedy is not in the message itself."""

import ast
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/faq.md").read_text(encoding="utf-8")
# What begins such a cell says it; layerscope, if nothing does. Of the others, no source is at hand.
TOLD_BY = re.compile(r"^(Snakemake|run\.sh|pip|shell|Python): ")
OF_SNAKEMAKE = ("api.py", "exceptions.py", "common/__init__.py", "io/__init__.py")
VALUE = "\0"  # in the place of what is formatted
# In a quotation, words in capitals stand for what differs.
PLACEHOLDER = re.compile(r"\b[A-Z]+(?:_[A-Z]+)*\b|…")
ERRORS = ("UserError", "SiteError")
LEAST = 12  # characters by which a message is known


def text_of(node: ast.AST) -> str | None:
    """The text of a literal."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or VALUE for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def nodes_of(files: Iterable[Path]) -> Iterator[ast.AST]:
    """All of these files, without docstrings and without the pieces of a literal."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.JoinedStr) and not (isinstance(node, ast.Expr) and text_of(node.value)):
            pending += ast.iter_child_nodes(node)


CODE = list(nodes_of(sorted((PROJECT / "src/layerscope").rglob("*.py"))))
TEXTS = {text for node in CODE if (text := text_of(node))}


def messages() -> dict[str, None]:
    """The lines of errors that are meant for the user, but for those that consist of another text."""
    found = {}
    for node in CODE:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            found |= dict.fromkeys(text for part in node.args if (text := text_of(part)))
    found |= dict.fromkeys(text for text in TEXTS if text.startswith("hub: "))
    return {text: None for text in found if max(map(len, text.split(VALUE))) >= LEAST}


def says_what_to_do(message: str) -> bool:
    """Whether a message goes on, after what is wrong, with what would be right."""
    return ";" in message or "(set " in message


def occurs(quoted: str, text: str) -> bool:
    """Whether the words of a quotation, between its placeholders, follow each other in a text."""
    place = 0
    for part in PLACEHOLDER.split(quoted):
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def quoted() -> list[tuple[str, str]]:
    """Who says it, and each message of the tables."""
    found = []
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith(("| message |", "| ---")):
            cell = line.split(" | ")[0].removeprefix("| ")
            told_by = TOLD_BY.match(cell)
            found += [(told_by[1] if told_by else "layerscope", message) for message in re.findall("`(.+?)`", cell)]
    return found


QUOTED = quoted()


@pytest.mark.parametrize("message", [text for who, text in QUOTED if who == "layerscope"])
def test_message_is_in_the_code(message: str) -> None:
    assert len(PLACEHOLDER.sub("", message)) >= LEAST, "quote more of it"
    assert any(occurs(message, text) for text in TEXTS), "no message of src/layerscope is worded so"


@pytest.mark.parametrize("message", [text for who, text in QUOTED if who == "Snakemake"])
def test_message_is_one_of_snakemake(message: str) -> None:
    folder = Path(find_spec("snakemake").origin).parent
    texts = (text_of(node) for node in nodes_of(folder / name for name in OF_SNAKEMAKE))
    assert any(occurs(message, text) for text in texts if text)


def test_message_of_the_script_is_in_it() -> None:
    script = (PROJECT / "profiles/slurm/run.sh").read_text(encoding="utf-8")
    assert all(occurs(message, script) for who, message in QUOTED if who == "run.sh")


@pytest.mark.parametrize("message", sorted(text for text in messages() if not says_what_to_do(text)))
def test_message_without_a_remedy_has_a_row(message: str) -> None:
    """Else a user who meets it does not know how to go on: say it in the message, or in docs/faq.md."""
    assert any(occurs(text, message) for who, text in QUOTED if who == "layerscope")


def test_a_quotation_is_found_by_its_words() -> None:
    message = text_of(
        ast.parse("f'config: models.{name}.layers: {n} is not ' f'what {x} has; write {y}'").body[0].value
    )
    assert message == "config: models.\0.layers: \0 is not what \0 has; write \0"
    assert not occurs("config: models.NAME.layers: N is not what the MODEL has", message)
    assert occurs("config: models.NAME.layers: N is not what MODEL has", message)
    assert says_what_to_do(message)
