"""Access tokens, by those who run the server."""

import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import Home
from app.commands.serving import read_settings
from app.reporting import reported
from app.tables import show_rows, wide_console
from micronet.errors import SettingsError

if TYPE_CHECKING:
    from worker.records.database import Database
    from worker.records.tokens import Tokens

tokens = typer.Typer(help="Access tokens of teams.", no_args_is_help=True)
Team = Annotated[str, typer.Argument(help="Name of the team.", show_default=False)]


@tokens.command()
def create(
    team: Team,
    home: Home = None,
    first: Annotated[
        bool, typer.Option("--first", help="Only if none was ever made: for the start of a server.")
    ] = False,
) -> None:
    """Make a token for TEAM and print it: the only time it is seen."""
    from worker.records.migrate import make_if_new, migrate

    with reported(as_json=False):
        known = _tokens(home, migrate if first else make_if_new)
        opened = not known.were_made()
        if first and not opened:
            print("tokens were made before, so none is now; `micronet token create TEAM` makes one")
        else:
            print(known.create(_checked(team)))
            if opened:
                print("a server that is running asks for tokens when it is started again", file=sys.stderr)


@tokens.command()
def revoke(
    team: Annotated[str | None, typer.Argument(help="Name of the team.", show_default=False)] = None,
    home: Home = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="This one alone, such as an old one when its team has the next. With - it is asked for, or read from "
            "standard input: other users of this machine see what a command is given, and shells remember it.",
        ),
    ] = None,
) -> None:
    """Revoke every token of TEAM, which has to have one; or one token."""
    from worker.records.migrate import check_version

    with reported(as_json=False):
        if (team is None) == (token is None):
            raise SettingsError("a TEAM is needed, or one of its tokens as --token mn_... or --token -; and not both.")
        known = _tokens(home, check_version)
        print(f"{_revoked_of(known, team)} revoked" if team is not None else _revoked_one(known, _token(str(token))))


def _revoked_of(known: "Tokens", team: str) -> int:
    if not (revoked := known.revoke(team)):
        teams = ", ".join(sorted(known.count()))
        having = f"these teams have some: {teams}" if teams else "no team has one"
        raise SettingsError(f"team {team!r} has no token that could be revoked; {having}.")
    return revoked


def _token(given: str) -> str:
    """The token itself, which for `-` is on standard input: one line; a terminal does not show it."""
    if given != "-":
        return given
    said = getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not said.strip():
        raise SettingsError("no token came on standard input: one line with one is needed.")
    return said.strip()


def _revoked_one(known: "Tokens", token: str) -> str:
    team = known.revoke_one(token)
    if team is None:
        raise SettingsError("this is no valid token: it is not one of here, or was revoked before.")
    return f"one of {team}'s revoked; {known.count().get(team, 0)} left"


@tokens.command(name="list")
def list_(home: Home = None) -> None:
    """Teams and how many valid tokens each has."""
    from worker.records.migrate import check_version

    with reported(as_json=False):
        rows = [(team, str(count)) for team, count in sorted(_tokens(home, check_version).count().items())]
    show_rows(("team", "tokens"), rows, wide_console())


def _checked(team: str) -> str:
    if not 1 <= len(team) <= 200 or not team.isprintable() or team != team.strip():
        raise SettingsError(f"team {team!r}: 1 to 200 printable characters are needed.")
    return team


def _tokens(home: Path | None, prepare: "Callable[[Database], None]") -> "Tokens":
    """As the records have them. Only a start changes tables: a server of another version may run on them."""
    from worker.records import Records

    return Records(read_settings(home, None).database, prepare=prepare).tokens
