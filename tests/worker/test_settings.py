"""Settings come from the environment, once; their secrets do not show."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.devices import devices
from worker.limits import default_memory_bytes
from worker.settings import Settings
from worker.slots import limits_by_lane


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("MICRONET_")]:
        monkeypatch.delenv(name)


def test_everything_lies_under_home_unless_it_is_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/micronet.db"
    assert settings.broker == f"file://{tmp_path}/bell"
    assert settings.blobs == f"file://{tmp_path}/blobs"
    assert settings.accepted_lanes() == ("short", "long")


def test_variables_are_read_and_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRONET_DATABASE_URL", "postgresql+psycopg://user:secret@host/db")
    monkeypatch.setenv("MICRONET_LANES", "short")
    settings = Settings()
    assert settings.database.endswith("user:secret@host/db")
    assert "secret" not in repr(settings)
    assert settings.accepted_lanes() == ("short",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", "0"),
        ("UPLOAD_BYTES", "-1"),
        ("LANES", "all"),
        ("SLOTS", "0"),
        ("MEMORY_BYTES", "5"),
        ("BLOB_DAYS", "1000000"),
        ("SWEEP_SECONDS", "inf"),
        ("LONG_WALL_SECONDS", "1e10"),
        ("KEY_DAYS", "nan"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_values_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MICRONET_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(("lease", "beat"), [("30", "60"), ("30", "30"), ("2", None), (None, "10.1")])
def test_a_lease_that_a_late_beat_loses_is_refused(
    monkeypatch: pytest.MonkeyPatch, lease: str | None, beat: str | None
) -> None:
    for name, value in (("LEASE", lease), ("BEAT", beat)):
        if value is not None:
            monkeypatch.setenv(f"MICRONET_{name}_SECONDS", value)
    with pytest.raises(ValidationError, match=r"too long for MICRONET_LEASE_SECONDS .* at most .* at least"):
        Settings()


@pytest.mark.parametrize(("lease", "beat"), [(3, 1), (0.3, 0.1), (3.3, 1.1)])
def test_a_lease_of_three_beats_is_enough(lease: float, beat: float) -> None:
    settings = Settings(lease_seconds=lease, beat_seconds=beat)
    assert (settings.lease_seconds, settings.beat_seconds) == (lease, beat)


@pytest.mark.parametrize("name", ["home", "database_url", "blobs_url"])
def test_what_jobs_must_not_see_lies_outside_of_what_they_read(tmp_path: Path, name: str) -> None:
    """Jobs read all of the data directory: everybody's checkpoints and the hashes of tokens would be there."""
    data, beside = tmp_path / "data", tmp_path / "data-of-mine"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    says = {"database_url": "sqlite:///{}/micronet.db"}.get(name, "{}")
    rest = {} if name == "home" else {"home": tmp_path / "home"}
    Settings.model_validate({"data": data, name: says.format(beside), **rest})
    for inside in (data, data / "deeper" / "still", tmp_path / "link" / "x", data / ".." / "data"):
        with pytest.raises(ValidationError, match=f"MICRONET_{name.upper()} names lies in it"):
            Settings.model_validate({"data": data, name: says.format(inside), **rest})


def test_slots_share_the_memory_and_lanes_have_their_own_time() -> None:
    one, two = (limits_by_lane(Settings(lanes="short"), slots) for slots in (1, 2))
    assert two["short"].memory_bytes == one["short"].memory_bytes // 2
    assert one["short"].wall_seconds < one["long"].wall_seconds
    for slots in range(1, 9):
        both = limits_by_lane(Settings(), slots)
        short, long = both["short"].memory_bytes, both["long"].memory_bytes
        assert slots * max(short, long) + short <= default_memory_bytes()
        assert slots * long + short > 0.99 * default_memory_bytes()
    own = limits_by_lane(Settings(memory_bytes=1 << 30, wall_seconds=5), 2)["short"]
    assert (own.memory_bytes, own.wall_seconds) == (1 << 30, 5)


@pytest.mark.parametrize(
    ("visible", "slots", "found"),
    [
        ("0,1,2", None, ("cuda:0", "cuda:1", "cuda:2")),
        ("GPU-a,GPU-b", 1, ("cuda:0",)),
        ("", None, ("cpu",)),
        ("-1", 3, ("cpu", "cpu", "cpu")),
    ],
)
def test_one_slot_for_each_visible_gpu_else_the_cpu(
    monkeypatch: pytest.MonkeyPatch, visible: str, slots: int | None, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices(slots) == found
