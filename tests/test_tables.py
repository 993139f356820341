import pickle
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import pytest

from covidlit.errors import CovidlitError, ManifestError
from covidlit.tables import read_table, row_numbers, validate, write_table

SCHEMA = pa.DataFrameSchema(
    {
        "scan_id": pa.Column("str", coerce=True),
        "when": pa.Column("datetime64[ns]", coerce=True, required=False, nullable=True),
        "score": pa.Column("float64", pa.Check.in_range(0, 1, error="must be 0 to 1"), coerce=True),
    }
)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_text_identifiers_stay_text(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame({"patient_id": ["007"], "path": ["0012"], "centre": ["1"], "n": [3]})
    back = read_table(write_table(table, tmp_path / f"t.{ending}"))
    assert back.iloc[0].tolist() == ["007", "0012", "1", 3]


def test_numbers_that_name_a_thing_stay_text_where_some_are_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("scan_id,quality_grade,scanner_model\na,1,64\nb,,\n")
    table = read_table(tmp_path / "t.csv")
    assert table.loc[0, ["quality_grade", "scanner_model"]].tolist() == ["1", "64"]
    assert table.loc[1, ["quality_grade", "scanner_model"]].isna().all()


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("patient_id,age\n007,5\n".encode("utf-8-sig"))
    assert read_table(tmp_path / "t.csv")["patient_id"].tolist() == ["007"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "no such file"),
        ("t.xls", b"x", "must end in .csv, .parquet or .xlsx, not '.xls'"),
        ("t.xlsx", b"x", "cannot be read"),
        ("t.csv", b"", "cannot be read"),
        ("t.csv", b"a,b\n1,2,3\n1,2,3,4,5\n", "cannot be read"),
        ("t.csv", b"a\n\xff\xfe\n", "cannot be read"),
        ("t.parquet", b"not parquet", "cannot be read"),
        ("t.parquet", b"", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_table(tmp_path / name, ManifestError)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert not caught.value.what.endswith("..")  # what pyarrow says has its own full stop


def test_a_sentence_has_one_full_stop() -> None:
    for said, what in (("no file..", "no file."), ("a, b, ...", "a, b, ..."), ("x.", "x.")):
        assert CovidlitError(said).what == what
        assert str(CovidlitError(said, fix="mend.")) == f"{what} Fix: mend."


def test_a_table_of_another_ending_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CovidlitError, match=r"not '.xlsx'"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": [0.5, 2.0]}, "1 problem: row 2, column 'score': value '2.0': must be 0 to 1"),
        ({"score": [0.5, "x"]}, "1 problem: row 2, column 'score': value 'x': must be a number"),
        ({"score": [0.5, None]}, "row 2, column 'score': value (empty): must not be empty"),
        ({"when": ["2020-01-01", "soon"]}, "row 2, column 'when': value 'soon': must be a date"),
        ({"scan_id": ["a", None]}, "row 2, column 'scan_id': value (empty): must not be empty"),
    ],
)
def test_a_failure_is_said_once_and_in_words(change: dict[str, list[object]], message: str) -> None:
    table = pd.DataFrame({"scan_id": ["a", "b"], "score": [0.0, 1.0]} | change)
    with pytest.raises(CovidlitError) as caught:
        validate(table, SCHEMA, "here")
    assert message in str(caught.value)
    assert str(caught.value).startswith("here: ")


def test_at_most_five_failures_are_shown() -> None:
    table = pd.DataFrame({"scan_id": [str(i) for i in range(9)], "score": [2.0] * 9})
    with pytest.raises(CovidlitError, match=r"9 problems.*\(and 4 more\)") as caught:
        validate(table, SCHEMA, "here")
    assert str(caught.value).count("column 'score'") == 5


def test_columns_come_before_values() -> None:
    with pytest.raises(
        CovidlitError, match=r"column 'score' is missing \(the table has: scan_id\)"
    ):
        validate(pd.DataFrame({"scan_id": ["a"]}), SCHEMA, "here")
    twice = pd.DataFrame([["a", 1.0, 1.0]], columns=["scan_id", "score", "score"])
    with pytest.raises(CovidlitError, match=r"'score' stands in the table more than once"):
        validate(twice, SCHEMA, "here")


def test_an_empty_table_is_refused_unless_allowed() -> None:
    table = pd.DataFrame({"scan_id": [], "score": []})
    with pytest.raises(CovidlitError, match=r"no row"):
        validate(table, SCHEMA, "here")
    assert validate(table, SCHEMA, "here", allow_empty=True).empty


def test_selections_keep_their_row_numbers() -> None:
    table = pd.DataFrame({"scan_id": list("abc"), "score": [0.0, 0.5, 7.0]})
    assert row_numbers(table.iloc[1:]) == [2, 3]
    assert row_numbers(table.set_index("scan_id")) == [1, 2, 3]
    with pytest.raises(CovidlitError, match=r"row 3, column 'score': value '7.0'"):
        validate(table.iloc[[0, 2]], SCHEMA, "here")


def test_an_error_survives_the_way_between_processes() -> None:
    error = ManifestError("what", where="where", fix="fix")
    back = pickle.loads(pickle.dumps(error))
    assert isinstance(back, ManifestError)
    assert str(back) == str(error) == "where: what Fix: fix"


def _numbers(tmp_path: Path, text: str, *, encoding: str = "utf-8") -> pd.DataFrame:
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    schema = pa.DataFrameSchema(
        {
            "spo2": pa.Column(float, pa.Check.in_range(0, 100), coerce=True, nullable=True),
            "n": pa.Column("Int64", coerce=True, nullable=True, required=False),
        }
    )
    return validate(read_table(tmp_path / "t.csv"), schema, "t.csv")


@pytest.mark.parametrize(
    "text",
    [
        "id;spo2\na;96,5\nb;97,25\nc;\nd;98\n",
        'id,spo2\na,"96,5"\nb,97.25\nc,NA\nd,98\n',  # one comma in a table of points
        "id\tspo2\na\t96,5\nb\t97.25\nc\t\nd\t98\n",
    ],
    ids=["semicolons", "quoted", "both"],
)
def test_decimal_commas_are_read_cell_by_cell(text: str, tmp_path: Path) -> None:
    found = _numbers(tmp_path, text)["spo2"].tolist()
    assert found[:2] == [96.5, 97.25]
    assert pd.isna(found[2])
    assert found[3] == 98


@pytest.mark.parametrize("separator", [";", "\t"])
def test_one_bad_cell_among_decimal_commas_is_the_one_that_is_named(
    separator: str, tmp_path: Path
) -> None:
    rows = ["a;96,5", "b;97,5", "c;n.a.", "d;98,5"]
    text = "\n".join(["id;spo2", *rows]).replace(";", separator)
    with pytest.raises(CovidlitError) as caught:
        _numbers(tmp_path, text)
    assert "1 problem: row 3 (line 4 of the file), column 'spo2': value 'n.a.'" in str(caught.value)
    assert "96,5" not in str(caught.value)


def test_a_comma_that_may_be_one_of_thousands_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(CovidlitError, match=r"value '1,234': .*if that is a decimal comma, write"):
        _numbers(tmp_path, 'id,spo2\na,"1,234"\n')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id,spo2\na,1\nb,x\n", 3),
        ("sep=;\nid;spo2\na;1\nb;x\n", 4),
        ("id,spo2\n\na,1\n\n\nb,x\n", 6),
        ('id,spo2\n"a\nand\nmore",1\nb,x\n', 5),
        ("\ufeffid,spo2\r\na,1\r\nb,x\r\n", 3),
    ],
    ids=["plain", "sep", "empty lines", "lines in a cell", "mark and CR LF"],
)
def test_a_message_names_the_line_that_an_editor_shows(
    text: str, line: int, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    with pytest.raises(CovidlitError) as caught:
        validate(
            read_table(tmp_path / "t.csv"),
            pa.DataFrameSchema({"spo2": pa.Column(float, coerce=True)}),
            "t.csv",
        )
    assert f"row 2 (line {line} of the file), column 'spo2': value 'x'" in str(caught.value)


def test_lines_are_those_of_text_alone_and_go_into_no_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,spo2\na,1\nb,200\n")
    table = read_table(tmp_path / "t.csv")
    schema = pa.DataFrameSchema({"spo2": pa.Column(float, pa.Check.le(100), coerce=True)})
    with pytest.raises(CovidlitError, match=r"row 2 \(line 3 of the file\)"):
        validate(table[table["spo2"] > 1], schema, "t")  # a selection knows its lines
    write_table(table, tmp_path / "t.parquet")
    assert pd.read_parquet(tmp_path / "t.parquet").attrs == {}
    with pytest.raises(CovidlitError, match="row 2, column"):
        validate(read_table(tmp_path / "t.parquet"), schema, "t")
