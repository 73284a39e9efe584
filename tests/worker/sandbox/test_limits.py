"""How much memory there is: the least of the machine's and of every control group's above us."""

import os
from pathlib import Path

import pytest

from worker.limits import GIBI, default_memory_bytes, memory_ceiling

PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    return tmp_path


def ceiling(machine: Path, membership: str, limits: dict[str, str]) -> int:
    (machine / "proc" / "self" / "cgroup").write_text(membership)
    for path, limit in limits.items():
        file = machine / "cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit + "\n")
    return memory_ceiling(machine / "proc", machine / "cgroup")


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "max"}, PHYSICAL),
        ("0::/a/b", {"a/b/memory.max": "2147483648", "a/memory.max": "max"}, 2 * GIBI),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "1073741824"}, GIBI),
        ("0::/", {"memory.max": "1073741824"}, GIBI),
        ("5:cpu:/x\n4:memory:/a", {"memory/a/memory.limit_in_bytes": "1073741824"}, GIBI),
        ("4:memory:/docker/of-the-host", {"memory/memory.limit_in_bytes": "1073741824"}, GIBI),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, PHYSICAL),
        ("4:cpu:/", {"memory/memory.limit_in_bytes": "1073741824"}, PHYSICAL),
    ],
)
def test_the_tightest_group_counts(machine: Path, membership: str, limits: dict[str, str], expected: int) -> None:
    assert ceiling(machine, membership, limits) == expected


def test_a_kernel_without_groups_has_its_memory(tmp_path: Path) -> None:
    assert memory_ceiling(tmp_path, tmp_path) == PHYSICAL


def test_a_quarter_is_for_the_server() -> None:
    assert default_memory_bytes() == memory_ceiling() * 3 // 4
