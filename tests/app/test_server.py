"""Who gets in: everybody on loopback, until a token was made; on other addresses nobody without one."""

from pathlib import Path

import pytest

from app.server import is_open, listen
from micronet.errors import SettingsError
from worker.records import Records
from worker.settings import Settings


def opened(settings: Settings, host: str) -> bool:
    with listen(host, 0) as listening:
        return is_open(settings, listening)


def test_only_loopback_is_open_and_only_while_no_token_was_ever_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert opened(settings, "127.0.0.1")
    with pytest.raises(SettingsError, match="token create"):
        opened(settings, "0.0.0.0")
    records = Records(settings.database)
    records.tokens.create("blue")
    assert not opened(settings, "127.0.0.1")
    assert records.tokens.revoke("blue") == 1
    records.close()
    assert not opened(settings, "127.0.0.1"), "revoking the last token opens nothing"
    assert not opened(settings, "0.0.0.0")
