"""Progress on a terminal, and where there is none."""

import pytest

from app.progress_bar import ProgressBar


def test_nothing_is_counted_before_there_is_anything_to_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with ProgressBar() as progress:
        progress.waiting("queued, place 2")
    waiting = capsys.readouterr().err
    assert ("queued, place 2" in waiting, "0/" in waiting, "/?" in waiting) == (True, False, False)
    with ProgressBar() as progress:
        progress.stage("evaluate", 2, 3)
        progress.advance(1000, 10_000, "images")
    counted = capsys.readouterr().err
    assert ("evaluate (2/3)" in counted, "1000/10000" in counted) == (True, True)


def test_what_is_said_stays_whole_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with ProgressBar() as progress:
        progress.waiting("queued")
        progress.say("[job] " + 30 * "x" + "\x1b[2J")
    assert capsys.readouterr().err == "[job] " + 30 * "x" + "\N{REPLACEMENT CHARACTER}[2J\n"
