"""How names and numbers are written on pages."""

import pytest

from app.pages.drawings.scale import written
from app.pages.formats import named


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("fc", "<bdi>fc</bdi>"),
        ("layers/layers.0/conv1", "<bdi>layers/<wbr>layers.<wbr>0/<wbr>conv1</bdi>"),
        ("a_b__c", "<bdi>a_<wbr>b__<wbr>c</bdi>"),
        ("<b>", "<bdi>&lt;b&gt;</bdi>"),
        ("x\N{RIGHT-TO-LEFT OVERRIDE}y\nz", "<bdi>x\N{REPLACEMENT CHARACTER}y\N{REPLACEMENT CHARACTER}z</bdi>"),
        ("", "<bdi></bdi>"),
        ("a/&/'b'", "<bdi>a/<wbr>&amp;/<wbr>&#39;b&#39;</bdi>"),
        ("n" * 1024, f"<bdi>{'n' * 1024}</bdi>"),
        ("n" * 10_000_000, f"<bdi>{'n' * 1024}\N{HORIZONTAL ELLIPSIS}</bdi>"),
    ],
)
def test_a_name_out_of_a_file_turns_nothing_and_is_broken_where_its_parts_end(name: str, shown: str) -> None:
    assert named(name) == shown


@pytest.mark.parametrize(
    ("value", "text"), [(0.0001, "0.0001"), (5e-05, "0.00005"), (1e-09, "0.000000001"), (2e6, "2,000,000"), (0.0, "0")]
)
def test_the_marks_of_an_axis_are_written_alike(value: float, text: str) -> None:
    assert written(value) == text
