"""What is said of an error reaches a terminal as words, whoever wrote it."""

import json

import pytest
import typer

from app.client import ServerError
from app.reporting import reported

HOSTILE = ServerError("one\x9b\ntwo", code="c\x1b[2J\nd", title="t\u202e\r")


def test_no_words_of_a_server_are_orders_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), reported(as_json=False):
        raise HOSTILE
    assert capsys.readouterr().err == "t\ufffd\ufffd [c\ufffd[2J\ufffdd]\none\ufffd\ntwo\n"


def test_programs_are_told_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), reported(as_json=True):
        raise HOSTILE
    said = capsys.readouterr().err
    assert said.isascii()
    assert json.loads(said)["code"] == "c\x1b[2J\nd"
