"""`micronet token` on its own."""

from pathlib import Path

import pytest
from alembic import command as migration
from sqlalchemy import text
from typer.testing import CliRunner

from app.commands.program import app
from worker.records import Records
from worker.records.migrate import configuration


def token(home: Path, *arguments: str, given: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["token", *arguments, "--home", str(home)], input=given, env={"COLUMNS": "300"})
    return result.exit_code, result.output


def test_who_has_no_token_has_none_to_revoke(tmp_path: Path) -> None:
    for command in (("revoke", "blu"), ("list",)):
        code, said = token(tmp_path, *command)
        assert (code, "there are no records" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []
    assert token(tmp_path, "create", "red")[0] == 0
    assert token(tmp_path, "revoke", "red")[0] == 0
    code, said = token(tmp_path, "revoke", "blu")
    assert (code, "no team has one" in said) == (1, True)
    for team in ("red", "blue"):
        assert token(tmp_path, "create", team)[0] == 0
    code, said = token(tmp_path, "revoke", "blu")
    assert (code, "'blu' has no token" in said, "blue, red" in said) == (1, True, True)
    assert token(tmp_path, "revoke", "blue") == (0, "1 revoked\n")
    code, said = token(tmp_path, "revoke", "blue")
    assert (code, "these teams have some: red." in said) == (1, True)


@pytest.mark.parametrize("arguments", [("list",), ("revoke", "red"), ("create", "red")])
def test_records_of_another_version_are_left_to_a_start(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A server of that version may run on them."""
    records = Records(f"sqlite:///{tmp_path}/micronet.db")
    records.database.write(lambda connection: migration.downgrade(configuration(connection), "0010"))
    code, said = token(tmp_path, *arguments)
    assert (code, "of version 0010" in said, "stop every server" in said) == (1, True, True)
    version = text("SELECT version_num FROM alembic_version")
    assert records.database.read(lambda connection: connection.scalar(version)) == "0010"
    assert token(tmp_path, "create", "red", "--first")[0] == 0
    assert records.tokens.count() == {"red": 1}
    records.close()


def test_one_token_is_revoked_and_its_team_keeps_the_others(tmp_path: Path) -> None:
    old, new = (token(tmp_path, "create", "red")[1].splitlines()[0] for _ in range(2))
    assert token(tmp_path, "revoke", "--token", old) == (0, "one of red's revoked; 1 left\n")
    records = Records(f"sqlite:///{tmp_path}/micronet.db")
    assert [records.tokens.team(one) for one in (old, new)] == [None, "red"]
    records.close()
    code, said = token(tmp_path, "revoke", "--token", old)
    assert (code, "no valid token" in said, old in said) == (1, True, False)
    for both_or_none in ((), ("red", "--token", new)):
        code, said = token(tmp_path, "revoke", *both_or_none)
        assert (code, "TEAM is needed" in said) == (1, True)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token_is_revoked_that_nobody_sees_on_the_command_line(tmp_path: Path, end: str) -> None:
    old, _ = (token(tmp_path, "create", "red")[1].splitlines()[0] for _ in range(2))
    assert token(tmp_path, "revoke", "--token", "-", given=old + end) == (0, "one of red's revoked; 1 left\n")
    code, said = token(tmp_path, "revoke", "--token", "-", given=end)
    assert (code, "no token came on standard input" in said) == (1, True)
    code, said = token(tmp_path, "revoke", "red", "--token", "-", given=old)
    assert (code, "not both" in said) == (1, True)
    assert "standard input" in token(tmp_path, "revoke", "--help")[1]
