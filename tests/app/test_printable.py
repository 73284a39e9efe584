"""Names out of files are shown as they are, but for what a terminal would obey."""

import pytest

from app.printable import on_one_line, printable


@pytest.mark.parametrize("text", ["conv1", "a\u00a0b", "漢字\u3000", "👩\u200d💻", "a\nb", "[b]"])
def test_words_stay(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("order", ["\x1b", "\x07", "\r", "\x9b", "\u202e", "\u2066", "\ud800", "\x00"])
def test_orders_do_not(order: str) -> None:
    assert printable(f"a{order}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_a_name_has_one_line() -> None:
    assert on_one_line("conv\nwarning: forged") == "conv\N{REPLACEMENT CHARACTER}warning: forged"
