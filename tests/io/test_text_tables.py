"""Text files are read in the encodings and with the separators that programs write."""

import pandas as pd
import pytest

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.text_tables import (
    has_decimal_comma,
    is_code,
    is_missing,
    read_csv,
    read_lines,
    separator,
)

COLUMNS = {"a": ["1", "3"], "b, c": ["ä", ""]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_tables_of_all_programs_are_read(tmp_path, encoding, newline, comma):
    text = '"a",\'"b, c"\n1,\'ä\n3,\'\n'.replace(",'", comma).replace("\n", newline)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert read_csv(tmp_path / "t.csv") == COLUMNS


def test_names_are_read_as_people_mean_them(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\na; b\n1;2\n")
    assert read_csv(tmp_path / "t.csv") == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_have_no_mark(tmp_path, encoding):
    (tmp_path / "l.txt").write_bytes("ä\r\n\r\nb\x0bc\n".encode(encoding))
    assert read_lines(tmp_path / "l.txt") == ["ä", "", "b\x0bc"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a,y\n1,ä\n".encode("latin-1"), 2),
        ("a,y\n1,2\n".encode("utf-16-le"), 1),
        ("a,y\n1,2\n".encode("utf-32"), 1),
        (b"PK\x03\x04\0\0", 1),
        ("a,y\n1,2\n".encode("utf-16")[:-1], 2),
    ],
)
def test_other_encodings_are_named(tmp_path, content, line):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"t.csv is not text in UTF-8, see line {line}; save it"):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\n1;2\t3\n", "\t"),
        ("a\n1\n", ","),
        ("a;b\n", ";"),
        ("a|b\n1|2\n", "|"),
        ("a,b,c\n1,2\n", ","),  # cut short
        ("a;b;c\n1;2\n", ";"),
        ("", ","),
    ],
)
def test_the_separator(text, expected):
    assert separator(text) == expected


@pytest.mark.parametrize(
    "text", ["a\n1\n\n2\n", 'a\n1\n""\n \n2\n\n', "\na,b\n1,2\n\n \n3,4\n", "a;b\n\n1;2\n;4\n"]
)
def test_blank_lines_are_left_out_as_by_pandas(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    frame = pd.read_csv(tmp_path / "t.csv", sep=separator(text), dtype=str, keep_default_na=False)
    assert read_csv(tmp_path / "t.csv") == frame.to_dict("list")


def test_the_line_of_a_row_is_named_also_below_those_that_are_no_rows(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\na;b\n\n1;2\n3\n")
    with pytest.raises(InputError, match=r"Row 1 of .* has 1 values, must have 2; correct line 5,"):
        read_csv(tmp_path / "t.csv")


def test_decimal_commas():
    assert all(map(has_decimal_comma, ("0,1", "-12,50", " ,5", "1,5e-3")))
    assert not any(map(has_decimal_comma, ("1", "1.5", "a,b", "1,2,3", "1,", "")))


def test_names_that_look_like_missing_values_are_names():
    missing = ("", " ", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
    assert all(map(is_missing, missing))
    assert not any(map(is_missing, ("Na", "na", "none", "NONE", "Null", "Nan", "0")))


def test_codes_are_no_numbers():
    assert all(map(is_code, ("007", "00", "-01", str(2**53 + 1), f" -{2**53 + 1}", "9" * 5000)))
    assert not any(map(is_code, ("0", "0.5", "00.5", "-0", "10", "1e3", str(2**53), "a07", "")))
