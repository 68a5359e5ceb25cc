"""Make docs/analysing.ipynb of docs/analysing.md, and run it on a finished default study.

snakemake --cores 8 && pip install nbclient ipykernel && python tests/analysing_notebook.py
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from analysing_page import BLOCK, PAGE, PROJECT
from nbclient import NotebookClient

TO_PAGE = "[analysing.ipynb](analysing.ipynb) is the same in a notebook, with plots."
TO_NOTEBOOK = "This is [analysing.md](analysing.md) as a notebook, with plots."


def notebook_of(page: str) -> nbformat.NotebookNode:
    """Its text and its code, cell by cell."""
    assert TO_PAGE in page
    parts = BLOCK.split(page.replace(TO_PAGE, TO_NOTEBOOK))  # text, code, what is printed, text, ...
    cells = []
    for number in range(0, len(parts), 3):
        if text := parts[number].strip():
            cells.append(nbformat.v4.new_markdown_cell(text, id=f"text-{number // 3}"))
        if number + 1 < len(parts):
            cells.append(nbformat.v4.new_code_cell(parts[number + 1].rstrip("\n"), id=f"code-{number // 3}"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def write(results: Path) -> None:
    notebook = notebook_of(PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "results").symlink_to(results.resolve())
        NotebookClient(notebook, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    nbformat.write(notebook, PAGE.with_suffix(".ipynb"))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "results")
