"""What people may type in place of an id."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from app.client import ServerError
from app.job_ids import whole_id
from micronet.errors import SettingsError

ID = "0123456789abcdef" * 2


def job(job_id: str, name: str | None = None) -> dict[str, Any]:
    file = {"sha256": "0" * 64, "size": 1, "filename": "net\x1b.onnx"}
    return {"id": job_id, "kind": "score", "status": "running", "name": name, "checkpoint": file}


@pytest.mark.parametrize("named", [ID, "no id", "", "0123456G", "../tracks", ID + "0"])
def test_a_whole_id_and_what_is_none_are_asked_for_as_they_are(named: str) -> None:
    client = MagicMock()
    assert whole_id(client, named) == named
    assert client.mock_calls == []


@pytest.mark.parametrize("length", [6, 31])
def test_a_beginning_is_that_of_the_one_job_that_has_it(length: int) -> None:
    client = MagicMock()
    client.jobs.return_value = iter([job(ID)])
    assert whole_id(client, ID[:length]) == ID
    client.jobs.assert_called_once_with(id_prefix=ID[:length])


def test_a_beginning_of_several_is_answered_with_them() -> None:
    client = MagicMock()
    client.jobs.return_value = iter([job(ID, "ours"), job(ID[:30] + "00")])
    with pytest.raises(SettingsError, match="give more of the one") as raised:
        whole_id(client, ID[:6])
    assert str(raised.value).splitlines()[1:] == [
        f"{ID}  score, running, ours, net\N{REPLACEMENT CHARACTER}.onnx",
        f"{ID[:30]}00  score, running, net\N{REPLACEMENT CHARACTER}.onnx",
    ]


def test_a_beginning_of_very_many_is_not_answered_with_all() -> None:
    client = MagicMock()
    client.jobs.return_value = iter([job(ID)] * 1000)
    with pytest.raises(SettingsError) as raised:
        whole_id(client, ID[:6])
    assert str(raised.value).splitlines()[-1] == "and more"
    assert len(str(raised.value).splitlines()) == 12


def test_a_beginning_of_none_and_one_that_is_too_short_are_said_to_be_that() -> None:
    client = MagicMock()
    client.jobs.return_value = iter([])
    with pytest.raises(ServerError, match="no job's id begins '012345'") as raised:
        whole_id(client, ID[:6])
    assert (raised.value.code, raised.value.yours) == ("job-not-found", True)
    with pytest.raises(SettingsError, match="at least 6 characters"):
        whole_id(client, ID[:5])
