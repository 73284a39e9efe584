"""Directories whose names hold what URLs give a meaning to."""

from pathlib import Path

import pytest

from micronet.errors import SettingsError
from worker.blobs import open_blobs
from worker.blobs.directory import DirectoryBlobs
from worker.records import Records
from worker.settings import Settings
from worker.urls import directory_of

NAMES = ["plain", "entry #1", "who?", "100%", "a%23b", "Zürich", "a b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_home_of_any_name_holds_its_own_files(tmp_path: Path, name: str) -> None:
    """Cut off at the first #, two homes had one store, and each swept the other's files."""
    settings = Settings(home=tmp_path / name)
    settings.home.mkdir()
    assert directory_of(settings.broker) == tmp_path / name / "bell"
    blobs = open_blobs(settings.blobs, settings.scratch)
    assert isinstance(blobs, DirectoryBlobs)
    assert blobs.root == tmp_path / name / "blobs"
    Records(settings.database).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (settings.home / "micronet.db").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_path_stands_for_itself(tmp_path: Path, name: str) -> None:
    assert directory_of(str(tmp_path / name)) == tmp_path / name
    assert directory_of((tmp_path / name).as_uri()) == tmp_path / name


def test_other_urls_are_none_and_half_a_path_is_refused() -> None:
    assert directory_of("s3://bucket/prefix") is None
    assert directory_of("redis://host/0") is None
    for url in ("file:///data/entry #1", "file:///data/who?"):
        with pytest.raises(SettingsError, match="%23"):
            directory_of(url)
