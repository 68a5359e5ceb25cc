"""Take what docs/analysing.md prints from a finished default study, and compare it with one.

    snakemake --cores 8 && python tests/analysing_page.py

Each block of Python on the page may be followed by a block of text, which is what it prints.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs/analysing.md"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<printed>.*?)```\n)?", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")


def blocks(page: str) -> list[tuple[str, str]]:
    """Each block of Python of a page, and the text that is said to be printed by it."""
    return [(found["code"], found["printed"] or "") for found in BLOCK.finditer(page)]


def printed_by(codes: list[str], results: Path) -> list[str]:
    """What each of some blocks prints, run one after the other in a folder of their own that has ``results``."""
    printed, names = [], {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("results").symlink_to(results.resolve())
        os.environ.setdefault("MPLBACKEND", "agg")
        for code in codes:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, str(PAGE), "exec"), names)
            printed.append("".join(line.rstrip() + "\n" for line in out.getvalue().splitlines()))
    return printed


def same(printed: str, shown: str) -> bool:
    """Whether two texts are the same but for last digits, which other processors give."""
    words, numbers = zip(*(_parts(text) for text in (printed, shown)), strict=True)
    if words[0] != words[1] or len(numbers[0]) != len(numbers[1]):
        return False
    return all(abs(x - y) <= max(0.011, 0.01 * abs(y)) for x, y in zip(*numbers, strict=True))


def _parts(text: str) -> tuple[list[str], list[float]]:
    """The words of a text, and the numbers in it."""
    return NUMBER.sub("#", text).split(), [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def write(results: Path) -> None:
    """Put what the blocks print after them."""
    page = PAGE.read_text(encoding="utf-8")
    printed = iter(printed_by([code for code, _ in blocks(page)], results))

    def with_text(found: re.Match[str]) -> str:
        text = next(printed)
        return f"```python\n{found['code']}```\n" + (f"\n```text\n{text}```\n" if text else "")

    PAGE.write_text(BLOCK.sub(with_text, page), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "results")
