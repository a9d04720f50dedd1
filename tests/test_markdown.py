"""Names of others in Markdown are read as they are written."""

from __future__ import annotations

import pytest

from dgnet.markdown import aligned_table, code, one_line, plain, table


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("0001", "0001"),
        ("Jörg-Peter, 2nd (left)", "Jörg-Peter, 2nd (left)"),
        ("person_1_a", "person_1_a"),
        ("_it_", r"\_it\_"),
        ("![x](http://e/x.png)", r"\!\[x\](http\://e/x.png)"),
        ("a|b", r"a\|b"),
        ("a\n# b", r"a\\n\# b"),
        ("a\r\nb", r"a\\r\\nb"),
        ("<img src=x>", r"\<img src=x\>"),
        ("`x`", r"\`x\`"),
        ("a\\|b", r"a\\\|b"),
        ("**b** &amp; ~~c~~", r"\*\*b\*\* \&amp; \~\~c\~\~"),
        ("www.example.org", r"www\.example.org"),
        ("\u202ex\u2028y", r"\\u202ex\\u2028y"),
        ("a\udcff", r"a\\udcff"),
    ],
)
def test_a_name_means_nothing(name: str, written: str) -> None:
    assert plain(name) == written
    assert "\n" not in written


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("a/b.jpg", "`a/b.jpg`"),
        ("a`b", "`` a`b ``"),
        ("a``b`", "``` a``b` ```"),
        ("a\nb", r"`a\nb`"),
    ],
)
def test_a_path_is_code(path: str, written: str) -> None:
    assert code(path) == written


def test_one_line_is_text_that_can_be_encoded() -> None:
    assert one_line("a\udcff\n\t\0").encode() == rb"a\udcff\n\t\x00"


def test_tables_name_their_columns_first() -> None:
    assert table([("what", "how many"), ("kept", 3)]) == (
        "| what | how many |\n| --- | --- |\n| kept | 3 |"
    )


def test_aligned_tables_read_well_as_plain_text() -> None:
    rows = [("what", "n"), ("a", "100")]
    assert aligned_table(rows) == "| what | n   |\n|------|-----|\n| a    | 100 |"
    assert aligned_table(rows, numbers=True) == "| what |   n |\n|------|----:|\n| a    | 100 |"
