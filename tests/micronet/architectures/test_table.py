"""The table of networks: names, options, and what a team adds."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from micronet.architectures import ARCHITECTURES, Architecture, Options, architectures, find_architecture, table
from micronet.errors import InvalidArchitectureOptions, UnknownArchitecture

TEAM = Architecture("team_net", "A team's own", Options, "team.net:build")
NOT_ONE = "no architecture"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    architectures.cache_clear()
    yield
    architectures.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    entries = [EntryPoint(f"entry{index}", value, table.GROUP) for index, value in enumerate(values)]
    monkeypatch.setattr(table, "entry_points", lambda group: entries if group == table.GROUP else [])


def test_describing_networks_needs_no_torch() -> None:
    code = (
        "import sys; from micronet.architectures import architectures;"
        "[(a.summary, a.options.model_json_schema(), a.parse({}).input_shape) for a in architectures().values()];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_summary_is_one_line() -> None:
    assert all(row.summary and "\n" not in row.summary for row in ARCHITECTURES.values())


def test_a_team_adds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, f"{__name__}:TEAM")
    assert find_architecture("team_net") == TEAM
    assert list(architectures()) == [*ARCHITECTURES, "team_net"]


def test_a_name_that_is_taken_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, f"{__name__}:TEAM", f"{__name__}:TEAM")
    with pytest.raises(ValueError, match="two architectures are called 'team_net'"):
        architectures()


def test_an_entry_point_to_something_else_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, f"{__name__}:NOT_ONE")
    with pytest.raises(TypeError, match=r"entry0.*is a str"):
        architectures()


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownArchitecture, match="There are pyramidnet, "):
        find_architecture("zzz")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("pyramidnet", {"depth": 273}, r"depth is 9n\+2 .* such as 272 or 281"),
        ("pyramidnet", {"depth": 272, "bottleneck": False, "widht": 3}, "widht: Extra inputs .*Its options are"),
        ("pyramidnet", {"alpha": float("nan")}, "alpha"),
        ("pyramidnet", {"image_size": 30}, "image_size: .*multiple of 4"),
        ("wideresnet", {"depth": 4}, "such as 10 or 16"),
        ("wideresnet", {"width": 10**9}, r"width: .*less than or equal to 64 \(got 1000000000\)"),
        ("resnet_cifar", {"depth": "20"}, "depth: .*valid integer"),
        ("resnet_cifar", {"depth": True}, "depth"),
        ("resnet_cifar", {"shortcut": "C"}, "'A' or 'B'"),
        ("resnet", {"depth": 19}, "18, 34, 50, 101 or 152"),
        ("digits", {"num_classes": 0}, "num_classes"),
    ],
)
def test_faults_are_readable(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidArchitectureOptions, match=words) as raised:
        find_architecture(name).parse(options)
    assert str(raised.value).startswith(f"{name}: ")
    assert "pydantic" not in str(raised.value)


def test_a_flood_of_faults_is_cut() -> None:
    with pytest.raises(InvalidArchitectureOptions) as raised:
        find_architecture("digits").parse({f"{index:0100}": "x" * 1000 for index in range(1000)})
    assert len(str(raised.value)) < 1000


def test_defaults_are_those_of_the_papers() -> None:
    assert ARCHITECTURES["pyramidnet"].parse({}).input_shape == (3, 32, 32)
    assert ARCHITECTURES["efficientnet"].parse({}).input_shape == (3, 224, 224)
    assert ARCHITECTURES["digits"].parse({"image_size": 16}).input_shape == (1, 16, 16)


JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(list(ARCHITECTURES.values())),
    st.dictionaries(st.sampled_from(["depth", "width", "alpha", "num_classes", "image_size", "x"]), JSON, max_size=3),
)
def test_any_options_are_taken_or_refused_by_name(row: Architecture, options: dict[str, object]) -> None:
    try:
        parsed = row.parse(options)
    except InvalidArchitectureOptions:
        return
    assert options.items() <= parsed.model_dump().items()
