"""`micronet token` on its own."""

from pathlib import Path

from typer.testing import CliRunner

from app.commands.program import app


def token(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["token", *arguments, "--home", str(home)])
    return result.exit_code, result.output


def test_who_has_no_token_has_none_to_revoke(tmp_path: Path) -> None:
    code, said = token(tmp_path, "revoke", "blu")
    assert (code, "no team has one" in said) == (1, True)
    for team in ("red", "blue"):
        assert token(tmp_path, "create", team)[0] == 0
    code, said = token(tmp_path, "revoke", "blu")
    assert (code, "'blu' has no token" in said, "blue, red" in said) == (1, True, True)
    assert token(tmp_path, "revoke", "blue") == (0, "1 revoked\n")
    code, said = token(tmp_path, "revoke", "blue")
    assert (code, "these teams have some: red." in said) == (1, True)
