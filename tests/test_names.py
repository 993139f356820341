"""The rule of contract 12, by examples and for any text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.errors import ConfigError, CovidlitError
from covidlit.names import MAX_LENGTH, check_name, is_name, tidy_name

HOSTILE = (
    "", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "C:x", ".hidden", "-rf", "_x", "a b", " a",
    "a ", "a\n", "a\nb", "a\0b", "\u00e9", "\u80ba\u708e", "\u0661", "a\u2044b", "$x$", "a*", "CON",
    "con", "nul.txt", "Aux", "COM1", "lpt9.tar.gz", "a" * (MAX_LENGTH + 1), "a" * 100_000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_texts_are_no_names(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(ConfigError, match=r"scan_id: the name .* must be 1 to 128") as error:
        check_name(text, "scan_id", ConfigError)
    assert len(str(error.value)) < 1000
    assert is_name(tidy_name(text))
    assert tidy_name(text) in str(error.value)


@pytest.mark.parametrize(
    "text", ["S427715b2b28c", "1.2.840.113619", "covid", "0", "scan-1_b.v2", "CON1", "a" * 128]
)
def test_names_are_kept(text: str) -> None:
    assert is_name(text)
    assert check_name(text, "scan_id") == text
    assert tidy_name(text) == text


def test_other_types_are_no_names() -> None:
    assert not any(is_name(value) for value in (None, 3, float("nan"), Path("a"), b"a"))


@given(st.text())
def test_a_name_is_a_single_file_below_its_folder(text: str) -> None:
    if is_name(text):
        assert Path("folder", text).parts == ("folder", text)
        assert text.isascii()
        assert len(f"{text}.instances.nii.gz") < 200
    else:
        with pytest.raises(CovidlitError):
            check_name(text, "scan_id")


@given(st.text())
def test_a_tidy_name_is_a_name_and_stays_as_it_is(text: str) -> None:
    tidy = tidy_name(text)
    assert is_name(tidy)
    assert tidy_name(tidy) == tidy
    assert not is_name(text) or tidy == text
