"""Who gets in: everybody on loopback, until a token was made; on other addresses nobody without one."""

from pathlib import Path

import pytest

from app.server import is_open, listen
from micronet.errors import SettingsError
from worker.records import Records
from worker.settings import Settings


def opened(records: Records, host: str) -> bool:
    with listen(host, 0) as listening:
        return is_open(records, listening)


def test_only_loopback_is_open_and_only_while_no_token_was_ever_made(tmp_path: Path) -> None:
    records = Records(Settings(home=tmp_path).database)
    assert opened(records, "127.0.0.1")
    with pytest.raises(SettingsError, match="token create"):
        opened(records, "0.0.0.0")
    records.tokens.create("blue")
    assert not opened(records, "127.0.0.1")
    assert records.tokens.revoke("blue") == 1
    assert not opened(records, "127.0.0.1"), "revoking the last token opens nothing"
    assert not opened(records, "0.0.0.0")
    records.close()
