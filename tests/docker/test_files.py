"""What the container files promise, read from the files: no engine is needed."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from app.commands.program import app
from worker.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"setup", "download"}
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("micronet:")]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_nothing_is_writable_but_volumes_and_tmpfs_and_nobody_has_capabilities(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service


@every_service
def test_nobody_is_root(name: str) -> None:
    service = SERVICES[name]
    user = service.get("user") or re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert user in {"redis", "postgres", "10001:10001"}


@every_service
def test_memory_and_processes_are_bounded_and_health_is_known(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["pids_limit"] > 0
    assert service["init"] is True
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"
        assert service["stop_grace_period"]


def test_only_the_api_is_published_and_only_api_and_download_reach_out() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"api"}
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {"api", "download"}
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_only_download_writes_data_sets_and_it_sees_nothing_else() -> None:
    mounts = {name: service.get("volumes", []) for name, service in SERVICES.items()}
    writers = {name for name, volumes in mounts.items() if any(volume.endswith(":/data") for volume in volumes)}
    assert writers - {"redis"} == {"download"}  # Redis's /data is its own
    assert len(mounts["download"]) == 1
    assert SERVICES["download"]["environment"] == {}


def test_redis_refuses_rather_than_forgets() -> None:
    script = SERVICES["redis"]["command"][-1]
    assert "--appendonly yes" in script
    assert "--maxmemory-policy noeviction" in script


def test_passwords_are_demanded_and_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    uses = re.findall(r"\$\{(MICRONET_\w*PASSWORD)(.*?)\}", text)
    assert {name for name, _ in uses} == {"MICRONET_POSTGRES_PASSWORD", "MICRONET_REDIS_PASSWORD"}
    assert all(rest.startswith(":?") for _, rest in uses)


@every_service
def test_our_containers_are_given_only_settings_that_exist(name: str) -> None:
    given = {variable for variable in SERVICES[name].get("environment", {}) if variable.startswith("MICRONET_")}
    assert given <= {f"MICRONET_{field.upper()}" for field in Settings.model_fields}


def test_the_image_is_built_once_for_all_who_run_it_and_never_fetched() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["setup"]
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_parses(name: str) -> None:
    words = [*SERVICES[name].get("entrypoint", ["micronet"])[1:], *SERVICES[name]["command"]]
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), words
    if words != ["--help"]:
        command.make_context(name, words)


def test_healthy_workers_say_so_through_doctor() -> None:
    assert SERVICES["worker"]["healthcheck"]["test"] == ["CMD", "micronet", "doctor", "--worker"]
    assert SERVICES["worker"]["deploy"]["replicas"] == "${MICRONET_WORKERS:-2}"


def test_gpu_workers_are_asked_for_by_a_profile_and_run_the_same_image() -> None:
    gpu = SERVICES["worker-gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert gpu["image"] == SERVICES["worker"]["image"]
    (devices,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (devices["driver"], devices["capabilities"]) == ("nvidia", ["gpu"])


def test_the_image_has_the_torch_that_scores_are_pinned_to() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = (line for line in project["dependencies"] if line.startswith("torch=="))
    assert re.findall(r"torch==\S+", DOCKERFILE) == [pinned]


def test_the_image_is_made_of_sources_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    admitted = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / path).exists() for path in admitted)
    assert admitted == {"pyproject.toml", "README.md", "LICENSE", "app", "worker", "micronet"}
