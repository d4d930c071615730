"""What deploy/ promises without being started: pinned images, least privileges, settings that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from windlass.config import ClientConfig
from windlass_core.settings import ApiSettings, DispatcherSettings, SchedulerSettings, ServiceSettings

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
FILE: Final = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]
EXAMPLE: Final = (DEPLOY / ".env.example").read_text("utf-8")

#: Of these nobody could ask whether they are well.
UNASKED: Final = {"collector": "its image holds nothing to ask with", "tokens": "it ends at once"}
KINDS: Final[dict[str, type[ServiceSettings]]] = {
    "api": ApiSettings,
    "dispatcher": DispatcherSettings,
    "scheduler": SchedulerSettings,
}

every_service = pytest.mark.parametrize("service", SERVICES)


def names_of(kind: type[BaseSettings]) -> set[str]:
    """The variables that a settings class reads."""
    return {f"WINDLASS_{name.upper()}" for name in kind.model_fields}


@every_service
def test_images_are_pinned_by_version(service: str) -> None:
    """Down to the minor at the least; nothing that moves from under us."""
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", SERVICES[service]["image"])


def test_the_dockerfile_is_based_on_a_pinned_image() -> None:
    """On one, which every stage but our own begins with."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    pinned = re.findall(r"^ARG PYTHON=python:(\d+\.\d+)-slim-\w+$", text, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE))
    assert len(pinned) == 1
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {"${PYTHON}", *stages}


@every_service
def test_a_container_may_do_next_to_nothing(service: str) -> None:
    """It is somebody in particular, writes to volumes alone, and cannot become more than it is."""
    found = SERVICES[service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["pids_limit"] > 0
    assert "privileged" not in found
    # Our image has a user of its own.
    assert found["image"].startswith("windlass-") or re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["user"])


@every_service
def test_a_container_is_looked_after(service: str) -> None:
    """Asked whether it is well, started again when it ends, its log bounded."""
    found = SERVICES[service]
    assert ("healthcheck" in found) == (service not in UNASKED)
    assert found["restart"] == ("on-failure:5" if service == "tokens" else "unless-stopped")
    assert found["logging"]["options"]["max-size"]


@every_service
def test_ports_are_published_on_loopback_alone(service: str) -> None:
    """And the store's not at all, on a network that leads nowhere."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))
    if service == "valkey":
        assert SERVICES[service]["networks"] == ["store"]
        assert FILE["networks"]["store"]["internal"] is True
        assert "ports" not in SERVICES[service]


@every_service
def test_whoever_is_waited_for_is_well_first(service: str) -> None:
    """Started is not enough."""
    conditions = {on["condition"] for on in SERVICES[service].get("depends_on", {}).values()}
    assert conditions <= {"service_healthy", "service_completed_successfully"}


@pytest.mark.parametrize("service", KINDS)
def test_a_service_is_asked_where_it_answers(service: str) -> None:
    """At its HTTP door, which stays on loopback."""
    port = KINDS[service].model_fields["http_listen"].default.rpartition(":")[2]
    assert SERVICES[service]["healthcheck"]["test"][-2:] == ["ready", port]


def test_our_images_have_the_version_that_is_built() -> None:
    """Of both distributions."""
    for distribution in ("sdk", "services"):
        project = tomllib.loads((DEPLOY.parent / distribution / "pyproject.toml").read_text("utf-8"))["project"]
        ours = {found["image"] for found in SERVICES.values() if found["image"].startswith("windlass-")}
        assert {image.partition(":")[2] for image in ours} == {project["version"]}


@pytest.mark.parametrize("service", KINDS)
def test_a_service_is_given_settings_that_it_reads(service: str) -> None:
    """And the time to end that its own grace asks for."""
    given = {name for name in SERVICES[service]["environment"] if name.startswith("WINDLASS_")}
    assert given <= names_of(KINDS[service])
    grace = KINDS[service].model_fields["shutdown_grace"].default.total_seconds()
    assert float(SERVICES[service]["stop_grace_period"].removesuffix("s")) > 2 * grace


def test_the_worker_is_given_settings_that_it_reads() -> None:
    """It is a client."""
    given = {name for name in SERVICES["worker"]["environment"] if name.startswith("WINDLASS_")}
    assert given <= names_of(ClientConfig)


def test_the_example_of_settings_names_what_there_is() -> None:
    """All that the file takes, nothing else, and the defaults that hold."""
    shown = dict(re.findall(r"^# (\w+)=(\S+)$", EXAMPLE, re.MULTILINE))
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    filled_in = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    passed_on = {
        name for service in SERVICES.values() for name, value in service.get("environment", {}).items() if value is None
    }
    assert set(shown) == set(filled_in) | passed_on
    for name, default in filled_in.items():
        assert shown[name] == default
    for kind in KINDS.values():
        for name, field in kind.model_fields.items():
            default = field.default
            variable = f"WINDLASS_{name.upper()}"
            if variable in shown and variable not in filled_in:
                expected = f"{default.total_seconds():g}" if hasattr(default, "total_seconds") else str(default)
                assert shown[variable] == expected, variable
