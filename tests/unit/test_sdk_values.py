"""Durations, retry policies, priorities, statuses, run ids, settings."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import uuid
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import packed
from windlass import config as config_module
from windlass import exceptions
from windlass.config import OTHERS_SETTINGS, ClientConfig, UnknownSettingWarning
from windlass.duration import to_milliseconds
from windlass.exceptions import InvalidConfig, WindlassError
from windlass.priority import Priority
from windlass.retry import RetryBudget, RetryPolicy, policy_from_counts
from windlass.status import RunStatus
from windlass.transport.error_detail import from_detail, from_failure
from windlass.transport.rpc_status import from_rpc_error
from windlass.transport.run_id import mint
from windlass.v1 import error_pb2, run_pb2


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (timedelta(minutes=2), 120_000),
        (timedelta(microseconds=1500), 2),
        (5, 5_000),
        (0.25, 250),
        (0, 0),
        (0.0001, 1),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("1.5s", 1_500),
        ("250ms", 250),
        ("2d", 172_800_000),
        ("90", 90_000),
        ("PT5M", 300_000),
        ("P1DT2H3M4.5S", 93_784_500),
        ("P1W", 604_800_000),
        ("pt0.1s", 100),
    ],
)
def test_durations_are_read(value: Any, milliseconds: int) -> None:
    """Every way of writing one."""
    assert to_milliseconds(value, "timeout") == milliseconds


@pytest.mark.parametrize(
    "value", ["", "m", "5 parsecs", "-5s", "P1Y", "P2M", "PT", "P", "P1DT", -1, float("inf"), float("nan")]
)
def test_what_is_no_duration_is_refused_by_name(value: Any) -> None:
    """A ValueError that names the parameter."""
    with pytest.raises(ValueError, match="timeout="):
        to_milliseconds(value, "timeout")


@pytest.mark.parametrize("value", [None, True, [], object()])
def test_other_types_are_no_durations(value: Any) -> None:
    """A TypeError that says what is taken."""
    with pytest.raises(TypeError, match="timeout takes a timedelta"):
        to_milliseconds(value, "timeout")


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=3650)))
def test_timedelta_and_seconds_mean_the_same(value: timedelta) -> None:
    """To the millisecond."""
    assert abs(to_milliseconds(value, "t") - to_milliseconds(value.total_seconds(), "t")) <= 1


def test_years_and_months_are_refused_with_the_reason() -> None:
    """They have no fixed length."""
    with pytest.raises(ValueError, match="no fixed length"):
        to_milliseconds("P1Y", "t")


def test_retries_count_the_attempts_after_the_first() -> None:
    """And factor^n seconds is the wait before retry n."""
    policy = policy_from_counts(
        retries=5,
        backoff_factor=2.0,
        backoff_max_seconds=60,
        backoff_jitter=True,
        retry_on=(),
        no_retry_on=(ValueError, "json.JSONDecodeError"),
    ).to_proto()
    assert policy.max_attempts == 6
    assert policy.initial_interval_ms == 2_000
    assert policy.backoff_coefficient == 2.0
    assert policy.max_interval_ms == 60_000
    assert policy.jitter
    assert list(policy.non_retryable_errors) == ["ValueError", "JSONDecodeError"]


def test_without_a_factor_a_retry_is_due_at_once() -> None:
    """Nothing waits that nobody asked to wait."""
    policy = policy_from_counts(
        retries=1, backoff_factor=None, backoff_max_seconds=None, backoff_jitter=True, retry_on=(), no_retry_on=()
    )
    assert policy.to_proto().initial_interval_ms == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"max_attempts": 1001}, "1 to 1,000"),
        ({"backoff_coefficient": 1001}, "1 to 1,000"),
        ({"backoff_coefficient": float("nan")}, "backoff_coefficient"),
        ({"initial_interval": "50d"}, "49 days"),
        ({"max_interval": "367d"}, "366 days"),
        ({"backoff_coefficient": 0.5}, "backoff_coefficient"),
        ({"initial_interval": -1}, "initial_interval"),
        ({"non_retryable_errors": [3]}, "exception type"),
    ],
)
def test_wrong_policies_are_refused(fields: dict[str, Any], said: str) -> None:
    """Where they are made."""
    with pytest.raises((ValueError, TypeError), match=said):
        RetryPolicy(**fields)


def test_one_exception_type_needs_no_list() -> None:
    """And a name alone is a name, not its letters."""
    policy = RetryPolicy(max_attempts=2, non_retryable_errors=KeyError, retryable_errors="app.errors.Busy")
    assert (policy.non_retryable_errors, policy.retryable_errors) == (("KeyError",), ("Busy",))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ratio": 1.5}, "ratio=1.5"),
        ({"ratio": -0.1}, "ratio=-0.1"),
        ({"ratio": float("nan")}, "ratio=nan"),
        ({"ratio": "0.2"}, "ratio='0.2'"),
        ({"min_per_minute": -1}, "min_per_minute=-1"),
        ({"min_per_minute": 1.5}, "min_per_minute=1.5"),
        ({"min_per_minute": 1_000_001}, "1,000,000"),
        ({"ratio": 0, "min_per_minute": 0}, "budget of nothing"),
    ],
)
def test_wrong_budgets_are_refused(fields: dict[str, Any], said: str) -> None:
    """Where they are made."""
    with pytest.raises(ValueError, match=said):
        RetryBudget(**fields)


def test_priorities_have_an_alias_and_the_wire_numbers() -> None:
    """NORMAL is MEDIUM."""
    assert Priority["NORMAL"] is Priority.MEDIUM
    assert [each.value for each in Priority] == [1, 2, 3, 4]


@pytest.mark.parametrize("status", list(RunStatus))
def test_statuses_are_their_names_and_survive_the_wire(status: RunStatus) -> None:
    """StrEnum by name, number by contract."""
    assert run_pb2.RunStatus.Name(run_pb2.RunStatus.ValueType(status.number)) == f"RUN_STATUS_{status}"
    assert RunStatus.from_number(status.number) is status
    assert status.ended == (status not in {RunStatus.QUEUED, RunStatus.RUNNING})


def test_run_ids_are_version_7_in_time_order_and_unique() -> None:
    """RFC 9562."""
    before = time.time_ns() // 1_000_000
    ids = [mint() for _ in range(2_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 2_000
    for text in ids:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert parsed.version == 7
        assert parsed.variant == uuid.RFC_4122
        assert before <= parsed.int >> 80 <= after


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No WINDLASS_* and no .env but the test's own."""
    for name in list(os.environ):
        if name.startswith("WINDLASS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_module, "_warned", set())
    return monkeypatch


def test_settings_come_from_arguments_then_environment_then_file(clean_environment: pytest.MonkeyPatch) -> None:
    """In that order."""
    Path(".env").write_text("WINDLASS_API_ADDRESS=file:1\nWINDLASS_TOKEN=secret\nOTHER=1\n", encoding="utf-8")
    assert ClientConfig().api_address == "file:1"
    clean_environment.setenv("WINDLASS_API_ADDRESS", "env:2")
    assert ClientConfig().api_address == "env:2"
    assert ClientConfig(api_address="arg:3").api_address == "arg:3"
    assert "secret" not in repr(ClientConfig())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WINDLASS_API_ADDRESS", "http://localhost:7070", "no other scheme"),
        ("WINDLASS_API_ADDRESS", "dns://8.8.8.8/api:7070", "no other scheme"),
        ("WINDLASS_API_ADDRESS", "dns:///api", "port is missing"),
        ("WINDLASS_API_ADDRESS", "ipv4:127.0.0.1:7070,127.0.0.1", "port is missing"),
        ("WINDLASS_API_ADDRESS", "ipv4:localhost:7070", "in numbers"),
        ("WINDLASS_API_ADDRESS", "ipv6:127.0.0.1:7070", "in numbers"),
        ("WINDLASS_API_ADDRESS", "localhost", "port is missing"),
        ("WINDLASS_API_ADDRESS", "localhost:99999", "1 to 65535"),
        ("WINDLASS_API_ADDRESS", "", "api_address"),
        ("WINDLASS_DISPATCHER_ADDRESS", "localhost:x", "1 to 65535"),
        ("WINDLASS_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO'"),
        ("WINDLASS_CONNECT_TIMEOUT", "soon", "number"),
        ("WINDLASS_TLS_CERT", "cert.pem", "WINDLASS_TLS_KEY"),
        ("WINDLASS_TLS_CA", "/nowhere/ca.pem", "no such file"),
    ],
)
@pytest.mark.usefixtures("clean_environment")
def test_wrong_settings_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    """With what they take."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidConfig, match=said) as refused:
        ClientConfig()
    assert name.removesuffix("CERT") in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "localhost:7070",
        "[::1]:7070",
        "unix:/run/windlass.sock",
        "dns:///api:7070",
        "ipv4:127.0.0.1:7070,127.0.0.1:7071",
        "ipv6:[::1]:7070,[::1]:7071",
    ],
)
def test_an_address_names_one_or_all_replicas(address: str) -> None:
    """As gRPC writes them."""
    assert ClientConfig(api_address=address).api_address == address


def test_unknown_arguments_are_refused_with_the_nearest_name() -> None:
    """A slip of the keyboard."""
    with pytest.raises(InvalidConfig, match="did you mean api_address"):
        ClientConfig(api_adress="x:1")  # type: ignore[call-arg]


def test_unknown_variables_are_warned_of_with_the_nearest_name(clean_environment: pytest.MonkeyPatch) -> None:
    """In the environment and in .env; once."""
    clean_environment.setenv("WINDLASS_TOKKEN", "x")
    Path(".env").write_text("WINDLASS_API_ADRESS=x:1\n", encoding="utf-8")
    with pytest.warns(UnknownSettingWarning) as warned:
        ClientConfig()
    assert {str(each.message).rpartition(" mean ")[2] for each in warned} == {
        "WINDLASS_TOKEN?",
        "WINDLASS_API_ADDRESS?",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ClientConfig()


def test_settings_of_the_services_are_not_warned_of(clean_environment: pytest.MonkeyPatch) -> None:
    """They share a prefix, and often an environment."""
    for name in OTHERS_SETTINGS:
        clean_environment.setenv(name, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ClientConfig()


def test_the_settings_of_the_services_are_all_known() -> None:
    """The list in the SDK is kept by hand, as it must not import the engine."""
    settings = pytest.importorskip("windlass_core.settings")
    for cls in (settings.ApiSettings, settings.DispatcherSettings, settings.SchedulerSettings):
        names = {f"WINDLASS_{name.upper()}" for name in cls.model_fields}
        assert names <= OTHERS_SETTINGS | {f"WINDLASS_{name.upper()}" for name in ClientConfig.model_fields}


@pytest.mark.parametrize("reason", [each for each in error_pb2.ErrorReason.values() if each])
def test_every_reason_becomes_a_typed_error(reason: Any) -> None:
    """None is forgotten."""
    error = from_detail(error_pb2.ErrorDetail(reason=reason, message="said", field="f", limit=7, retry_after_ms=1500))
    assert type(error) is not WindlassError
    assert "said" in str(error)


def test_details_keep_their_fields() -> None:
    """Field, limit, retry delay."""
    invalid = from_detail(error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_INVALID_FIELD, message="m", field="a.b"))
    assert isinstance(invalid, exceptions.InvalidInput)
    assert invalid.field == "a.b"
    large = from_detail(error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_TOO_LARGE, limit=7))
    assert isinstance(large, exceptions.PayloadTooLarge)
    assert large.limit == 7
    full = from_detail(error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_STORE_FULL, retry_after_ms=1500))
    assert isinstance(full, exceptions.StoreFull)
    assert full.retry_after == 1.5


@pytest.mark.parametrize(
    ("code", "details", "kind", "said"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Connection refused", exceptions.ApiUnreachable, "WINDLASS_API_ADDRESS"),
        (grpc.StatusCode.UNAVAILABLE, "Trying to connect an http1.x server", exceptions.ApiUnreachable, "8080"),
        (grpc.StatusCode.UNAVAILABLE, "Ssl handshake failed", exceptions.ApiUnreachable, "WINDLASS_TLS_CA"),
        (grpc.StatusCode.UNAVAILABLE, "DNS resolution failed", exceptions.ApiUnreachable, "host name"),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", exceptions.ApiUnreachable, "dispatcher"),
        (grpc.StatusCode.UNAUTHENTICATED, "who?", exceptions.Unauthorized, "WINDLASS_TOKEN"),
        (grpc.StatusCode.INTERNAL, "oops", exceptions.ServerFault, "oops"),
    ],
)
def test_codes_without_a_detail_say_what_to_check(
    code: grpc.StatusCode, details: str, kind: type[WindlassError], said: str
) -> None:
    """And name the address."""
    error = from_rpc_error(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details), "host:7070")
    assert type(error) is kind
    assert said in str(error)
    assert "host:7070" in str(error)


def test_a_typed_detail_in_the_trailer_wins_over_the_code() -> None:
    """It travels as google.rpc.Status."""
    detail = error_pb2.ErrorDetail(reason=error_pb2.ERROR_REASON_UNKNOWN_RUN, message="no such run")
    trailer = grpc.aio.Metadata(("grpc-status-details-bin", packed(5, detail)))
    error = grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), trailer, "x")
    assert type(from_rpc_error(error, "a:1")) is exceptions.UnknownRun


def test_errors_survive_pickling() -> None:
    """Process pools send them about."""
    failure = run_pb2.Failure(type="ValueError", message="no", traceback="tb", attempt=3)
    error = pickle.loads(pickle.dumps(from_failure("r", failure)))  # noqa: S301 - our own
    assert isinstance(error, exceptions.TaskRunError)
    assert (error.run_id, error.type, error.error, error.traceback, error.attempt) == ("r", "ValueError", "no", "tb", 3)
    assert str(error) == "run r failed (attempt 3): ValueError: no"
    timeout = pickle.loads(pickle.dumps(exceptions.ResultTimeout("late", run_id="r")))  # noqa: S301 - our own
    assert timeout.run_id == "r"
    assert isinstance(timeout, TimeoutError)


def test_every_error_derives_from_windlass_error_and_is_exported() -> None:
    """From `windlass` and from `windlass.exceptions`."""
    import windlass

    for name in exceptions.__all__:
        if name[0].isupper():
            assert issubclass(getattr(exceptions, name), WindlassError)
            assert getattr(windlass, name) is getattr(exceptions, name)


def test_import_is_light() -> None:
    """`import windlass` alone loads neither gRPC nor pydantic."""
    code = "import sys, windlass; print({'grpc', 'pydantic'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"
