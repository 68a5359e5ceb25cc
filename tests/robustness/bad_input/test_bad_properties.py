"""Properties of token types and their tables: each mistake gives one line before any job starts."""

from typing import Any

import pytest
from changes import Catalogue, also, check_line, pipe, put, write

from layerscope.preflight.load import load_config

STUDY, AHEAD = "studies/token_length/properties", "summaries"
NO_TABLE = (
    "'valence' is not characters, bytes or log_frequency, and tokenizers.mini.properties names no table that could "
    "have such a column"
)
PLACE = "tokenizers.mini.properties: words.csv"


def table(content: str, *names: str) -> Any:
    """A table, of which the study names columns."""
    return also(
        write("words.csv", content),
        put("tokenizers/mini/properties", "words.csv"),
        put(STUDY, list(names or ("valence",))),
    )


CATALOGUE: Catalogue = {
    "column of no table": (put(STUDY, ["bytes", "valence"]), f"config: studies.token_length.properties: {NO_TABLE}"),
    "column of no table ahead": (put(AHEAD, {"properties": ["valence"]}), f"config: summaries.properties: {NO_TABLE}"),
    "text for a list": (
        put(STUDY, "bytes"),
        'config: studies.token_length.properties: "bytes" is not allowed: input should be a valid list',
    ),
    "name of another covariate": (
        put(STUDY, ["position"]),
        'config: studies.token_length.properties.0: "position" is not allowed: it has another meaning; rename the '
        "column of your table",
    ),
    "name of two words": (
        put(AHEAD, {"properties": ["two words"]}),
        'config: summaries.properties.0: "two words" is not allowed: string should match pattern ',
    ),
    "property named twice": (
        put(STUDY, ["bytes", "bytes"]),
        'config: studies.token_length.properties: ["bytes", "bytes"] is not allowed: \'bytes\' is named twice; name it '
        "once",
    ),
    "table missing": (
        put("tokenizers/mini/properties", "words.csv"),
        "config: tokenizers.mini.properties: 'words.csv' is not a file here; name a CSV or Parquet file",
    ),
    "table a pipe": (
        also(pipe("words.csv"), put("tokenizers/mini/properties", "words.csv")),
        "config: tokenizers.mini.properties: 'words.csv' is not a file here; name a CSV or Parquet file",
    ),
    "table not UTF-8": (
        also(table("id,valence\n"), write("words.csv", "id,valence,töne\n".encode("latin-1"))),
        f"{PLACE} cannot be read: UnicodeDecodeError: ",
    ),
    "table without such a column": (table("id,arousal\n0,1\n"), f"{PLACE} has no column 'valence'; it has arousal"),
    "table of words": (
        table("word,valence\nher,1\n"),
        f"{PLACE} has neither an id nor a token column; add one",
    ),
    "token with two numbers": (
        table("token,valence\n her,1\n she,2\n her,3\n"),
        f"{PLACE}: the token ' her' has more than one row; keep one",
    ),
    "text in place of a number": (
        table("id,valence\n0,0.5\n1,high\n"),
        f"{PLACE}: column 'valence' has 'high' in row 2, not a number",
    ),
}


@pytest.mark.parametrize("mistake", CATALOGUE)
def test_mistake_is_one_line(study: dict[str, Any], mistake: str) -> None:
    check_line(study, *CATALOGUE[mistake])


def test_every_mistake_is_said_once(study: dict[str, Any]) -> None:
    """The study and the summaries read one table."""
    table("id,valence\n0,high\n", "valence", "bytes")(study)
    study["summaries"] = {"properties": ["valence"]}
    check_line(study, lambda _: None, f"{PLACE}: column 'valence' has 'high' in row 1, not a number")


def test_columns_that_no_key_names_are_not_read(study: dict[str, Any]) -> None:
    table("id,valence,note\n0,1,high\n")(study)
    study["studies"]["token_length"]["properties"] = ["characters", "log_frequency", "valence"]
    study["summaries"] = {"properties": ["characters", "valence"]}
    assert load_config(study).summaries.properties == ["characters", "valence"]


def test_a_type_without_a_number_ends_its_job_with_one_line(
    study: dict[str, Any], snakemake: Any, tmp_path: Any
) -> None:
    """Which types occur is known when the text is tokenized."""
    table("id,valence\n" + "".join(f"{number},{number}\n" for number in range(60)))(study)
    study["studies"] = {"token_length": study["studies"]["token_length"]}
    study["summaries"] = {"properties": ["valence"]}
    run = snakemake(tmp_path, study, "--keep-going", "results/summaries/tiny/mine/shard_0000.h5")
    [line] = {line for line in run.stdout.splitlines() if line.startswith("layerscope: ")}
    assert run.returncode == 1
    said = f"{PLACE}: column 'valence' has no finite number for "
    assert line.startswith(f"layerscope: summarize_stored tiny mine 0000: {said}")
    assert " token types that occur, such as the id " in line
