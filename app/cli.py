"""The command line: `micronet`. Nothing is imported before it is known what Ctrl-C is to do meanwhile."""

import sys

_INTERRUPTED = 130


def main() -> None:
    """Entry point of the console script."""
    try:
        from app.commands.program import app  # noqa: PLC0415  # takes most of a second
        from app.reporting import spell_out, written_out  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    spell_out(sys.stdout, sys.stderr)
    with written_out():
        app()
