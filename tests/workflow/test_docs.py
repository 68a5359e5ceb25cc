"""Every config and every command that the pages for users print does what a reader of them expects.

Configs and commands of Snakemake are planned in a copy of the project; each other command is in a table here, which
says how it is checked. One that is in no table fails.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from project import PROJECT, copy_project, snakemake

from layerscope.stats.claims import Claim
from layerscope.studies.path_length.claims import CLAIMS as PATH_CLAIMS
from layerscope.studies.token_length.claims import CLAIMS as LENGTH_CLAIMS
from layerscope.studies.token_length.claims import CLAIMS_ON_PAIRS
from layerscope.studies.token_length.sample_claims import SAMPLE_CLAIMS
from layerscope.studies.token_similarity.claims import CLAIMS as SIMILARITY_CLAIMS

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "config/README.md",
    "resources/README.md",
    *(str(path.relative_to(PROJECT)) for path in sorted((PROJECT / "docs").glob("*.md"))),
]
ANALYSING = "docs/analysing.md"  # whose code is run by test_analysing.py
# Blocks that show what is printed or how things are arranged: their beginnings.
SHOWN = (
    "documents ─tokenize─▶",
    "id,vowels\n",
    "layerscope.receive(",
    "results/\n",
    "Snakefile     ",
    "models.gpt-neo-125m: window: ",
    "results/path_length/neo-8m/shard_0000.h5: its values differ",
    "results/activations/neo-8m/embedded/shard_0002.h5: its dtype is bfloat16",
    "layerscope.receive(",
)
# Within a line of text, code is a command if it begins with one of these, or has what only commands have.
PROGRAM = re.compile(r"(snakemake|pytest|pip|python3?|find|rm|squeue|sacct|scontrol|scancel|crontab)\b ")
SYNTAX = re.compile(r"^[\w./@][^:]* (-\w|--\w|&&|\||>)")
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```\n", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A) {4}\S.*\n(?:(?: {4}.*)?\n)*")


@dataclass(frozen=True)
class Code:
    """A block, or a piece of code within a line."""

    page: str
    language: str  # of a fenced block; else empty
    text: str
    block: bool


def code_of(page: str, text: str) -> list[Code]:
    """All code of a page, blocks first."""
    found = [Code(page, language, body, True) for _, language, body in FENCED.findall(text)]
    text = FENCED.sub("", text)
    found += [Code(page, "", block.strip() + "\n", True) for block in INDENTED.findall(text)]
    text = INDENTED.sub("", text)
    return found + [Code(page, "", span, False) for span in re.findall(r"`([^`\n]+)`", text)]


def commands_of(code: Code) -> list[str]:
    """The commands of a piece of code, each on its own: of a block every line that is no comment."""
    if code.language in ("yaml", "python", "text") or code.text.startswith(SHOWN):
        return []
    if not code.block and not PROGRAM.match(code.text) and not SYNTAX.match(code.text):
        return []
    lines = code.text.replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in re.sub(r"(^|\s)#\s.*", "", line).split("&&")]
    return [" ".join(part.split()) for part in parts if part.strip()]


CODE = [code for page in PAGES for code in code_of(page, (PROJECT / page).read_text(encoding="utf-8"))]
CONFIGS = [code for code in CODE if code.language == "yaml"]
COMMANDS = list(dict.fromkeys(command for code in CODE for command in commands_of(code)))
# Plain planning says the same of `-n` and of `--dry-run`.
PLANNED = [c for c in COMMANDS if c.split()[0] == "snakemake" and not re.search("--(unlock|touch|report)", c)]


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is cloned, with each config that a page names by a comment in its first line."""
    folder = tmp_path_factory.mktemp("docs") / "layerscope"
    copy_project(folder)
    for code in CONFIGS:
        (folder / name_of(code)).write_text(code.text, encoding="utf-8")
    return folder


def name_of(code: Code) -> str:
    """The file that a config is to be written into."""
    named = re.match(r"# (\S+\.ya?ml)\n", code.text)
    assert named, f"{code.page}: name the file of this config in a comment, as its first line:\n{code.text}"
    return named[1]


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A command line, as a reader types it, in the environment of the tests."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PATH": search}
    options = {"capture_output": True, "text": True, "check": False}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, **options)


def check_plan(folder: Path, command: str) -> str:
    program, *arguments = shlex.split(command)
    assert program == "snakemake"
    plan = snakemake(folder, *arguments)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert not (folder / "results").exists()
    return plan.stdout


@pytest.mark.parametrize("code", CONFIGS, ids=lambda code: f"{code.page}: {name_of(code)}")
def test_every_config_is_planned(project_copy: Path, code: Code) -> None:
    planned = check_plan(project_copy, f"snakemake --dry-run --configfile {name_of(code)}")
    assert "report" in planned


@pytest.mark.parametrize("command", PLANNED)
def test_every_command_of_snakemake_is_planned(project_copy: Path, command: str) -> None:
    if "--profile profiles/slurm" in command and not find_spec("snakemake_executor_plugin_slurm"):
        pytest.skip("needs the extra 'slurm': pip install '.[slurm]'")
    options = shlex.split(command)
    if not {"-n", "--dry-run"} & set(options):
        # What --dry-run would forgive.
        assert {"--cores", "--profile"} & set(options), f"{command}: say how many cores"
        command += " --dry-run"
    check_plan(project_copy, command)


def in_a_finished_study(finished: Path, folder: Path, command: str) -> None:
    shutil.copytree(finished, folder)
    done = run(folder, command)
    assert done.returncode == 0, done.stdout + done.stderr


def report_of_snakemake(finished: Path, folder: Path, command: str) -> None:
    in_a_finished_study(finished, folder, f"{command} --configfile study.yaml")
    assert (folder / command.split()[-1]).stat().st_size > 100_000


def settled(finished: Path, folder: Path, command: str) -> None:
    """After it, nothing is to be done."""
    in_a_finished_study(finished, folder, f"{command} --configfile study.yaml")
    assert "Nothing to be done" in run(folder, "snakemake -n --configfile study.yaml").stdout


def writes_the_schema(finished: Path, folder: Path, command: str) -> None:
    in_a_finished_study(finished, folder, command)
    path = command.split()[-1]
    assert (folder / path).read_bytes() == (PROJECT / path).read_bytes()


def runs_a_job_by_hand(finished: Path, folder: Path, command: str) -> None:
    """The command before it on the page keeps the script; the debugger is told to go on."""
    (kept,) = [other for other in COMMANDS if "--skip-script-cleanup" in other]
    target = kept.split()[-1]
    by_hand = f"printf 'c\\nq\\n' | {command}"
    in_a_finished_study(finished, folder, f"{kept} --configfile study.yaml && touch before && {by_hand}")
    assert (folder / target).read_bytes() == (finished / target).read_bytes()
    assert (folder / target).stat().st_mtime_ns > (folder / "before").stat().st_mtime_ns


def is_an_extra(finished: Path, folder: Path, command: str) -> None:
    """What it installs has that name, and the version of Python that the page asks for."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r"\[([\w,]+)\]", command)
    assert not extras or set(extras[1].split(",")) <= set(project["optional-dependencies"])
    assert project["requires-python"] == ">=3.11"


def arguments_are_known(finished: Path, folder: Path, command: str) -> None:
    """It stops at documents that are not there, and at no argument."""
    folder.mkdir()
    (folder / "resources").symlink_to(PROJECT / "resources")
    done = run(folder, command)
    assert re.search(r"FileNotFoundError: .*'[ac]\.jsonl'", done.stderr), done.stderr


def starts_snakemake(finished: Path, folder: Path, command: str) -> None:
    """In a container, with these arguments."""
    if "--wrap" in command:
        command = shlex.split(command)[-1]
    arguments = re.fullmatch(r"apptainer run (?:--nv )?layerscope\.sif (.*)", command)[1]
    copy_project(folder)
    check_plan(folder, f"snakemake {arguments} --dry-run")


def builds_the_image(finished: Path, folder: Path, command: str) -> None:
    """Of files that the recipe names."""
    recipe = (PROJECT / command.split()[-1]).read_text(encoding="utf-8")
    (files,) = re.findall(r"^%files\n((?: +.*\n)+)", recipe, re.MULTILINE)
    for line in files.splitlines():
        source, place = line.split()
        assert (PROJECT / source).exists() and f"-r {place}\n" in recipe


Check = Callable[[Path, Path, str], None]
# Beginnings of commands, and how each is checked.
CHECKED_HERE: dict[str, Check] = {
    "snakemake --unlock": settled,
    "snakemake --touch": settled,
    "snakemake --report report.zip": report_of_snakemake,
    "python -m layerscope.preflight.config >": writes_the_schema,
    "python resources/train.py": arguments_are_known,
    "python -m pdb .snakemake/scripts": runs_a_job_by_hand,
    "pip install -e": is_an_extra,
    "apptainer build": builds_the_image,
    "apptainer run": starts_snakemake,
    "sbatch --gpus=1": starts_snakemake,
}
# Where else: a test, or who runs it.
CHECKED_ELSEWHERE: dict[str, str] = {
    "pytest": ".ci/run",
    "ruff check .": ".ci/run",
    "ruff format --check .": ".ci/run",
    "snakefmt --check Snakefile workflow": ".ci/run",
    "mypy": ".ci/run",
    "pip install --require-hashes": ".ci/run",
    "uv pip compile": "tests/workflow/test_lock.py",
    "python tests/readme_rows.py": "tests/workflow/test_readme.py",
    "python tests/models_page.py": "tests/unit/test_architectures.py",
    "find results": "tests/workflow/test_cleaning_up.py",
    "profiles/slurm/run.sh": "tests/workflow/test_slurm.py",
    "squeue --me": "tests/workflow/test_slurm.py",
    "sacct -X": "tests/workflow/test_slurm.py",
    "scontrol show config": "tests/workflow/test_slurm.py",
}
# Programs of the system with a name or place of the reader's.
OF_THE_SYSTEM = (
    *("ssh ", "cd ", "git clone ", "python3 -m venv ", "source ", "nano ", "tmux ", "crontab -e"),
    "@reboot cd /shared/folder/layerscope",
    "PATH=$PWD/.venv/bin:$PATH profiles/slurm/run.sh",
)
OTHERS = [command for command in COMMANDS if command not in PLANNED]


@pytest.mark.parametrize("command", OTHERS)
def test_every_other_command_is_in_a_table(command: str) -> None:
    starts = [*CHECKED_HERE, *CHECKED_ELSEWHERE, *OF_THE_SYSTEM]
    assert command.startswith(tuple(starts)), f"{command}: say in this test how it is checked"


def test_no_table_holds_what_no_page_prints() -> None:
    for start in (*CHECKED_HERE, *CHECKED_ELSEWHERE, *OF_THE_SYSTEM):
        assert any(command.startswith(start) for command in OTHERS), start
    for start in SHOWN:
        assert any(code.text.startswith(start) for code in CODE), start


def test_what_checks_a_command_names_it() -> None:
    for command, place in CHECKED_ELSEWHERE.items():
        word = re.split(r"[ /=]", command.removeprefix("profiles/slurm/"))[0]
        assert word in (PROJECT / place).read_text(encoding="utf-8"), (command, place)


@pytest.mark.parametrize("command", [c for c in OTHERS if c.startswith(tuple(CHECKED_HERE))])
def test_other_commands_do_what_is_said(finished: Path, tmp_path: Path, command: str) -> None:
    (check,) = (check for start, check in CHECKED_HERE.items() if command.startswith(start))
    check(finished, tmp_path / "run", command)


@pytest.mark.parametrize(
    "code", [c for c in CODE if c.language == "python" and c.page != ANALYSING], ids=lambda code: code.page
)
def test_every_piece_of_python_runs(finished: Path, code: Code) -> None:
    """Of the tiny study the models are called otherwise, and have fewer layers."""
    text = code.text.replace("neo-8m", "a").replace("layer_03", "layer_01")
    done = subprocess.run([sys.executable, "-c", text], cwd=finished, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CLAIMS_OF = {
    "On models: token_length": LENGTH_CLAIMS,
    "On pairs of models: token_length": CLAIMS_ON_PAIRS,
    "On models: token_similarity": SIMILARITY_CLAIMS,
    "On models: path_length": PATH_CLAIMS,
    "On the tokenizer and the sample": SAMPLE_CLAIMS,
}
HEADER = (
    "| claim | effect | criterion | interval | of training | reference study |\n| --- | --- | --- | --- | --- | --- |\n"
)


def row_of(claim: Claim[Any]) -> str:
    """A claim's row of docs/claims.md."""
    cells = [f"`{claim.name}`: {claim.statement}", claim.statistic, claim.criterion]
    cells += [{"documents": "text"}.get(claim.clustered_by, claim.clustered_by), "yes" if claim.of_training else "no"]
    return " | ".join(["", *(cell.replace("|", r"\|") for cell in [*cells, claim.reference]), ""]).strip() + "\n"


def tables_of_claims(page: str) -> dict[str, tuple[str, str]]:
    """Heading → the table of claims below it, as it is and as the code has it."""
    tables = {}
    for heading, claims in CLAIMS_OF.items():
        (section,) = [part for part in page.split("\n## ") if part.startswith(f"{heading}\n")]
        rows = "".join(line + "\n" for line in section.splitlines() if line.startswith("|"))
        tables[heading] = rows, HEADER + "".join(map(row_of, claims))
    return tables


@pytest.mark.parametrize("heading", CLAIMS_OF)
def test_every_claim_is_in_its_table(heading: str) -> None:
    found, table = tables_of_claims((PROJECT / "docs/claims.md").read_text(encoding="utf-8"))[heading]
    assert found == table, f"docs/claims.md has to say (python {Path(__file__).name} writes it):\n{table}"


def test_code_of_a_page_is_found() -> None:
    """Blocks of both kinds, comments, lines that go on, and code within text."""
    page = (
        "Say `models` or `weights: random`, then `snakemake --cores 2` \n\n"
        "    pip install -e . && pytest  # all\n    # a word\n    train \\\n      --layers 3\n\n"
        "```bash\nnano file   # your site\n```\n```yaml\n# x.yaml\na: 1\n```\n"
    )
    found = code_of("page.md", page)
    assert [code.language for code in found if code.block] == ["bash", "yaml", ""]
    commands = [command for code in found for command in commands_of(code)]
    assert commands == ["nano file", "pip install -e .", "pytest", "train --layers 3", "snakemake --cores 2"]


if __name__ == "__main__":  # write the tables of docs/claims.md
    claims_page = PROJECT / "docs/claims.md"
    text = claims_page.read_text(encoding="utf-8")
    for found, table in tables_of_claims(text).values():
        text = text.replace(found, table)
    claims_page.write_text(text, encoding="utf-8")
