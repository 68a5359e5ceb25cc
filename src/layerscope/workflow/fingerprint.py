"""A fingerprint of the code behind a job, so that it reruns when, and only when, its code changes.

Snakemake sees the modification time of a script and never the modules it imports. Here the syntax trees of the
script and of every module of this package that it imports, transitively, are hashed without docstrings and
comments: an edit that cannot change a result changes no fingerprint.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def module_file(function: str) -> Path:
    """The file of a function that is named ``layerscope.module:function``."""
    return PACKAGE.joinpath(*function.partition(":")[0].split(".")[1:]).with_suffix(".py")


def code_fingerprint(*files: str | Path) -> str:
    """Twelve hexadecimal digits that identify the code of ``files`` and of all of layerscope that they import."""
    modules: dict[str, str] = {}
    pending = [Path(file) for file in files]
    while pending:
        name, text, imported = _syntax(pending.pop())
        if name not in modules:
            modules[name] = text
            pending += imported
    joined = "\n".join(f"{name} {text}" for name, text in sorted(modules.items()))
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


@cache
def _syntax(path: Path) -> tuple[str, str, list[Path]]:
    """A file's name, its syntax tree without docstrings, and the files of this package that it imports."""
    name = str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else f"script {path.name}"
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []  # it never runs
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    modules = dict.fromkeys(module for node in nodes for module in _names(node, path))
    return name, ast.dump(tree), list(dict.fromkeys(file for module in modules for file in _files(module)))


def _names(node: ast.AST, path: Path) -> list[str]:
    """Dotted names that an import statement may load; ``from a import b`` may load module a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        package = path.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
        module = ".".join([*package, *filter(None, [node.module])])
        return [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return []


def _files(name: str) -> list[Path]:
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return []
    place = PACKAGE.joinpath(*parts[1:])
    candidates = [place.with_suffix(".py")] if len(parts) > 1 else []
    # Importing a.b.c runs the __init__ of a and a.b too.
    folders = [PACKAGE.joinpath(*parts[1:depth]) for depth in range(1, len(parts) + 1)]
    candidates += [folder / "__init__.py" for folder in folders]
    return [file for file in candidates if file.is_file()]
