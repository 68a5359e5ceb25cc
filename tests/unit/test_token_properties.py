"""Properties of token types: what they are, where they are read, and what is said where they are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from layerscope.config.sections import Summaries
from layerscope.io.errors import UserError
from layerscope.preflight.load import load_config
from layerscope.summarize.covariates import Covariates
from layerscope.tokenize.property_names import RESERVED, of_tables
from layerscope.tokenize.token_properties import PropertySpec, token_properties
from layerscope.tokenize.tokenizer import load_tokenizer
from layerscope.tokenize.vocabulary import token_types
from layerscope.workflow.specs import Specs

TEXTS = ["a", " her", "\n", "NA", '"', "\ufffd", "<end>", ",", "é", "never"]
COUNTS = [5, 0, 3, 2, 2, 9, 9, 1, 1, 0]
SAMPLE = np.array([1, 2, 0, 0, 0, 1, 1, 0, 0, 0])
NUMBERS = np.array([1.5, -2, 3e-8, 4, 5, 6, 7, 1e9, 9, 10])
PLACE = "tokenizers.mini.properties: "


@pytest.fixture(scope="module")
def types() -> pd.DataFrame:
    """Ten types, of which the sixth is a piece of a character and the seventh special; the last occurs nowhere."""
    number = np.arange(10)
    table = pd.DataFrame({"token_id": number, "text": TEXTS, "characters": [len(text) for text in TEXTS]})
    table["bytes"] = [len(text.encode()) for text in TEXTS]
    return table.assign(corpus_count=COUNTS, partial=number == 5, special=number == 6)


def spec(path: Path | str, *names: str) -> PropertySpec:
    return {"names": list(names), "table": {"tokenizer": "mini", "path": str(path), "digest": ""}}


def written(folder: Path, content: str) -> str:
    path = folder / "words.csv"
    path.write_bytes(content.encode())
    return str(path)


def refusal(path: str, types: pd.DataFrame, *names: str, sample: np.ndarray = SAMPLE) -> str:
    """The one line of a table that cannot be used, without the place that it begins with."""
    with pytest.raises(UserError) as error:
        token_properties(spec(path, *(names or ["x"])), types, sample)
    line = str(error.value)
    assert line.startswith(f"{PLACE}{path}") and "\n" not in line and len(line) < 600
    return line.removeprefix(f"{PLACE}{path}")


def test_properties_that_every_tokenizer_has(types: pd.DataFrame) -> None:
    names = ["log_frequency", "bytes", "characters"]
    found = token_properties({"names": names, "table": None}, types, SAMPLE)
    assert list(found) == names and all(values.dtype == np.float64 for values in found.values())
    assert found["bytes"].tolist() == [1, 4, 1, 2, 1, 3, 5, 1, 2, 5]
    assert found["characters"].tolist() == [len(text) for text in TEXTS]
    assert found["log_frequency"].tolist() == [np.log(1 + count) for count in COUNTS]


def test_bytes_are_those_of_the_text_whose_characters_are_counted(mini_tokenizer: dict) -> None:
    types = token_types(load_tokenizer(mini_tokenizer))
    takes_part = types[~types["special"] & ~types["partial"]]
    assert takes_part["bytes"].tolist() == [len(text.encode()) for text in takes_part["text"]]
    assert takes_part["characters"].tolist() == [len(text) for text in takes_part["text"]]
    assert (takes_part["bytes"] > takes_part["characters"]).any()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("key", ["id", "token"])
def test_a_table_by_id_or_text_in_any_order(tmp_path: Path, types: pd.DataFrame, key: str, ending: str) -> None:
    table = pd.DataFrame({"y": -NUMBERS, key: types["token_id" if key == "id" else "text"], "x": NUMBERS})
    table = table.drop(index=[9]).sample(frac=1, random_state=1)
    path = tmp_path / f"words{ending}"
    table.to_csv(path, index=False) if ending == ".csv" else table.to_parquet(path)
    found = token_properties(spec(path, "x", "bytes", "y"), types, SAMPLE)
    assert list(found) == ["x", "bytes", "y"]
    assert found["x"].tolist() == [*NUMBERS[:9], 0] and found["y"].tolist() == [*-NUMBERS[:9], 0]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cn"]), min_size=1, max_size=4), unique=True))
def test_every_text_is_found_in_what_pandas_writes(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Quotes, delimiters, line ends, and what might be taken for a missing value."""
    path = tmp_path_factory.mktemp("tables") / "words.csv"
    texts = list(dict.fromkeys([*texts, "NA", "null", " ", "\r", "\n", '"', ",", "'", "\t"]))
    texts = [text for text in texts if "\r" not in text or text == "\r" or "\n" in text]
    numbers = np.arange(len(texts)) * 1.0
    pd.DataFrame({"token": texts, "x": numbers}).to_csv(path, index=False)
    types = pd.DataFrame({"text": texts, "corpus_count": 1, "special": False, "partial": False})
    found = token_properties(spec(path, "x"), types, np.ones(len(texts)))
    assert np.array_equal(found["x"], numbers)


def test_lines_may_end_as_on_windows(tmp_path: Path, types: pd.DataFrame) -> None:
    rows = "".join(f"{number},{number}\r\n" for number in range(9))
    found = token_properties(spec(written(tmp_path, "\ufeffid,x\r\n" + rows), "x"), types, SAMPLE)
    assert found["x"].tolist() == [*range(9), 0]


def test_types_that_take_no_part_or_occur_nowhere_need_no_number(tmp_path: Path, types: pd.DataFrame) -> None:
    rows = "".join(f"{number},{number + 1}\n" for number in (0, 1, 2, 3, 4, 7, 8))
    path = written(tmp_path, "id,x,unread\n" + rows.replace("\n", ",word\n") + "9,,\n6,inf,\n")
    assert token_properties(spec(path, "x"), types, SAMPLE)["x"].tolist() == [1, 2, 3, 4, 5, 0, 0, 8, 9, 0]


@pytest.mark.parametrize("value", ["", "nan", "inf", "-inf"])
def test_a_type_that_occurs_needs_a_finite_number(tmp_path: Path, types: pd.DataFrame, value: str) -> None:
    rows = [f"{number},{value if number in (1, 8) else number}\n" for number in range(9)]
    said = (
        ": column 'x' has no finite number for 2 of the 7 token types that occur, such as the id 1 (' her'); add them"
    )
    assert refusal(written(tmp_path, "id,x\n" + "".join(rows)), types) == said
    # The second is in the sample alone, and the ninth in the counted corpus alone.
    path = written(tmp_path, "id,x\n" + "".join(row for row in rows if row[0] != "1"))
    assert "for 2 of the 7 " in refusal(path, types)
    assert "for 1 of the 6 token types that occur, such as the id 8 ('é')" in refusal(path, types, sample=0 * SAMPLE)


ROWS = "".join(f"{number},1\n" for number in range(9))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", " cannot be read: EmptyDataError: "),
        ("word,x\na,1\n", " has neither an id nor a token column; add one"),
        ("id,token,x\n0,a,1\n", " has both an id and a token column; keep one"),
        ("id,y,z\n0,1,2\n", " has no column 'x'; it has y, z"),
        ("id\n0\n", " has no column 'x'; it has none"),
        ("id,x,x\n0,1,2\n", " has more than one column 'x'; keep one"),
        ("id,x,bytes\n0,1,2\n", ": the column 'bytes' has the name of a property of every tokenizer; rename it"),
        (f"id,x\n{ROWS}3,2\n", ": the id '3' has more than one row; keep one"),
        ("token,x\na,1\n her,1\na,2\n", ": the token 'a' has more than one row; keep one"),
        ("id,x\n0,1\n-1,1\n", ": '-1' in row 2 is not a token id, 0 or more"),
        ("id,x\n0.5,1\n", ": '0.5' in row 1 is not a token id, 0 or more"),
        ("id,x\nher,1\n", ": 'her' in row 1 is not a token id, 0 or more"),
        (f"id,x\n{ROWS}10,1\n", ": the id 10 is not in a vocabulary of 10 tokens"),
        ("token,x\na,1\n,1\n", ": row 2 has no text in its column token"),
        ("id,x\n0,1\n1,high\n", ": column 'x' has 'high' in row 2, not a number"),
        ("id,x\n0,1,2\n1,1\n", " cannot be read: "),
    ],
)
def test_a_table_that_cannot_be_used_gets_one_line(
    tmp_path: Path, types: pd.DataFrame, content: str, said: str
) -> None:
    found = refusal(written(tmp_path, content), types)
    assert found == said or (said.endswith(": ") and found.startswith(said))


def test_a_file_of_another_kind_or_damaged_gets_one_line(tmp_path: Path, types: pd.DataFrame) -> None:
    (tmp_path / "words.xlsx").write_bytes(b"PK")
    (tmp_path / "words.parquet").write_bytes(b"PAR1" + bytes(50))
    said = refusal(str(tmp_path / "words.xlsx"), types)
    assert said == " is neither CSV nor Parquet; name a file that ends in .csv or .parquet"
    assert refusal(str(tmp_path / "words.parquet"), types).startswith(" cannot be read: Arrow")


def test_two_types_of_one_text_are_told_apart_by_id_alone(tmp_path: Path, types: pd.DataFrame) -> None:
    twice = types.assign(text=["a", "b", "a", *TEXTS[3:]])
    pd.DataFrame({"token": twice["text"].drop_duplicates(), "x": 1}).to_csv(tmp_path / "words.csv", index=False)
    said = ": 'a' is the text of the tokens 0 and 2; name tokens by their ids, in a column id"
    assert refusal(str(tmp_path / "words.csv"), twice) == said
    # Unless all but one of them occur nowhere.
    rare = twice.assign(corpus_count=[5, 0, 0, *COUNTS[3:]])
    assert token_properties(spec(tmp_path / "words.csv", "x"), rare, SAMPLE)["x"][0] == 1


def test_the_spec_of_a_summary_has_the_table_of_the_properties_named_ahead(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without such properties it says nothing of them: length and frequency are in every summary."""
    monkeypatch.chdir(project)
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))

    def spec_with(names: list[str], rows: str = "") -> dict:
        config["tokenizers"]["mini"]["properties"] = written(tmp_path, "id,x\n0,1\n" + rows)
        config["summaries"] = {"properties": names}
        specs = Specs(load_config(config), project / "workflow/scripts", tmp_path / "digests.json")
        run, stored = (make("neo-2m", "mlp_pre")["summary"] for make in (specs.summarize, specs.summarize_stored))
        assert run == stored
        return run

    plain = {"site": "mlp_pre", "token_types": 8192}
    assert spec_with([]) == spec_with(["characters", "log_frequency"]) == plain
    assert spec_with(["log_frequency", "bytes"]) == plain | {"properties": {"names": ["bytes"], "table": None}}
    one, same, other = (spec_with(["x"], rows)["properties"]["table"] for rows in ("", "", "1,2\n"))
    assert one == same and one["tokenizer"] == "mini"
    assert one["digest"] != other["digest"] and one | {"digest": ""} == other | {"digest": ""}


def test_names_that_are_those_of_other_covariates_are_reserved() -> None:
    """All that a summary has beside the properties."""
    types = pd.DataFrame({"corpus_count": np.arange(60) ** 2, "leading_space": np.arange(60) % 2 == 0})
    types = types.assign(special=False, partial=False)
    names = Covariates.of(types, {"characters": np.arange(60.0)}).names
    assert len(names) > 10
    assert [name for name in names if not RESERVED.fullmatch(name)] == ["characters", "log_frequency"]
    assert of_tables([*names[:1], "characters", "bytes", "log_frequency"]) == ["one"]
    assert Summaries(properties=["valence", "bytes"]).properties == ["valence", "bytes"]
