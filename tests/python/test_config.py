"""Configs, durations, sizes and names, before any engine (S1, S2, S8, S9, S18, S19, S21)."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

import pytest
import workflows
from hypothesis import given
from hypothesis import strategies as st
from workflows import _config, _core, _names, _time
from workflows._config import compile_config, public_config


def effective(config: Any) -> workflows.StepConfig:
    native = compile_config(config).native
    assert native is not None
    return public_config(native)


DEFAULTS = workflows.StepConfig(
    retries=workflows.Retries(delay=dt.timedelta(seconds=1), max_delay=dt.timedelta(hours=1)),
    timeout=dt.timedelta(minutes=10),
)


def test_s9_the_defaults_are_those_of_the_engine() -> None:
    assert effective({}) == DEFAULTS
    assert effective(workflows.StepConfig()) == DEFAULTS
    assert compile_config(None).native is None


def test_s9_a_partial_config_is_merged_key_by_key() -> None:
    config = effective({"retries": {"limit": 3, "delay": "2 seconds"}, "timeout": dt.timedelta(seconds=30)})
    assert (config.retries.limit, config.retries.delay) == (3, dt.timedelta(seconds=2))
    assert config.retries.backoff == "exponential"
    assert config.timeout == dt.timedelta(seconds=30)


def test_s9_dict_and_dataclass_say_the_same() -> None:
    as_dict = {
        "retries": {"limit": 1, "delay": "1m", "backoff": "linear", "max_delay": "1 h", "jitter": 0.5},
        "timeout": "5s",
        "sensitive": "output",
    }
    as_class = workflows.StepConfig(
        retries=workflows.Retries(limit=1, delay="1m", backoff="linear", max_delay="1 h", jitter=0.5),
        timeout="5s",
        sensitive="output",
    )
    assert effective(as_dict) == effective(as_class)
    assert effective({"retries": workflows.Retries(limit=1)}).retries.limit == 1


def test_s11_a_callable_delay_is_kept_apart() -> None:
    def delay(ctx: workflows.StepContext, error: Exception) -> str:
        return f"{ctx.attempt} s {error}"

    compiled = compile_config({"retries": {"delay": delay}})
    assert compiled.delay is delay
    assert compiled.native is not None
    assert compiled.native.dynamic_delay


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"retry": {}}, "unknown key 'retry'.*retries, timeout, heartbeat_timeout, sensitive"),
        ({"retries": {"limits": 3}}, "unknown key 'limits'.*limit, delay"),
        ({1: 2}, "unknown key 1"),
        ({"retries": {"limit": -1}}, "retries.limit is -1"),
        ({"retries": {"limit": True}}, "retries.limit is True"),
        ({"retries": {"limit": 2.0}}, "retries.limit is 2.0"),
        ({"retries": {"limit": "3"}}, "retries.limit is '3'"),
        ({"retries": {"limit": 2**40}}, "retries.limit"),
        ({"retries": {"delay": 5}}, "retries.delay is 5 of type int.*bare number"),
        ({"retries": {"delay": "5 parsecs"}}, "retries.delay.*5 parsecs"),
        ({"retries": {"delay": "20 years"}}, "retries.delay"),
        ({"retries": {"max_delay": None}}, "retries.max_delay"),
        ({"retries": {"backoff": "cubic"}}, "retries.backoff is 'cubic'.*exponential"),
        ({"retries": {"jitter": 1.5}}, "retries.jitter is 1.5"),
        ({"retries": {"jitter": float("nan")}}, "retries.jitter is nan"),
        ({"retries": None}, "retries is None"),
        ({"retries": [1]}, "retries is"),
        ({"timeout": "soon"}, "timeout.*soon"),
        ({"timeout": dt.timedelta(0)}, "timeout"),
        ({"timeout": dt.timedelta(seconds=-1)}, "timeout.*not negative"),
        ({"timeout": 1000}, "timeout is 1000"),
        ({"sensitive": True}, "sensitive is True.*output"),
        ("retries", "config is 'retries'"),
        (3, "config is 3"),
    ],
)
def test_s9_what_is_not_accepted_is_named(config: Any, named: str) -> None:
    with pytest.raises(workflows.InvalidConfigError, match=named):
        compile_config(config)


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda i: st.dictionaries(
            st.sampled_from(["retries", "timeout", "limit", "delay", "jitter", "sensitive", "x"]), i
        ),
    )
)
def test_s46_no_config_does_harm(config: Any) -> None:
    with contextlib.suppress(workflows.InvalidConfigError):
        compile_config(config)


@pytest.mark.parametrize(
    ("duration", "milliseconds"),
    [
        ("30 minutes", 1_800_000),
        ("1h30m", 5_400_000),
        ("1.5 days", 129_600_000),
        ("0 s", 0),
        (dt.timedelta(microseconds=1), 1),
        (dt.timedelta(milliseconds=7), 7),
        (dt.timedelta(0), 0),
    ],
)
def test_s19_durations(duration: Any, milliseconds: int) -> None:
    assert _time.duration_ms(duration, "duration") == milliseconds


@pytest.mark.parametrize(
    "duration", [5, 0, 1.5, True, None, "", "5", "soon", "-1 s", "1 fortnight", b"1 s", "1 s\ud800"]
)
def test_s19_anything_else_is_refused_and_shows_what_is_accepted(duration: Any) -> None:
    with pytest.raises(workflows.InvalidDurationError, match="the-field"):
        _time.duration_ms(duration, "the-field")


@given(st.text())
def test_s46_no_text_harms_the_duration_parser(text: str) -> None:
    with contextlib.suppress(workflows.InvalidDurationError):
        assert _time.duration_ms(text, "duration") >= 0


@given(st.timedeltas(min_value=dt.timedelta(0)))
def test_s19_a_timedelta_is_never_cut_short(span: dt.timedelta) -> None:
    milliseconds = _time.duration_ms(span, "duration")
    assert dt.timedelta(milliseconds=milliseconds) - span < dt.timedelta(milliseconds=1)
    assert dt.timedelta(milliseconds=milliseconds) >= span


def test_s18_points_in_time() -> None:
    moment = dt.datetime(2026, 5, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    expected = int(moment.timestamp() * 1000)
    assert _time.moment_ms(moment, "time") == expected
    assert _time.moment_ms("2026-05-01T09:00:00+02:00", "time") == expected
    assert _time.moment_ms("2026-05-01T07:00:00Z", "time") == expected


@pytest.mark.parametrize("moment", [dt.datetime(2026, 5, 1), "2026-05-01T09:00:00", "2026-05-01"])
def test_s18_a_time_without_a_zone_is_refused_and_says_so(moment: Any) -> None:
    with pytest.raises(workflows.InvalidDurationError, match=r"the-field.*no time zone"):
        _time.moment_ms(moment, "the-field")


@pytest.mark.parametrize("moment", [1767225600, None, "tomorrow", dt.date(2026, 5, 1), dt.time(9)])
def test_s18_what_is_no_point_in_time_is_refused(moment: Any) -> None:
    with pytest.raises(workflows.InvalidDurationError, match="the-field"):
        _time.moment_ms(moment, "the-field")


@pytest.mark.parametrize(
    ("size", "number"), [(0, 0), (None, 0), (5, 5), ("1 MiB", 2**20), ("1.5kB", 1500), ("7", 7), ("2GiB", 2**31)]
)
def test_sizes(size: Any, number: int) -> None:
    assert _config.size_bytes(size, "payload_limit") == number


@pytest.mark.parametrize("size", [-1, True, 1.5, "", "MiB", "1 mile", "-1 B", "1e999", "nan"])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(workflows.InvalidConfigError, match="payload_limit"):
        _config.size_bytes(size, "payload_limit")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (_names.workflow_name, ["a", "A-1_b", "x" * 64], ["", "-a", "a b", "x" * 65, "é", "a\n"]),
        (_names.instance_id, ["a", "order-17", "x" * 100], ["", "-a", "a.b", "x" * 101, "a/b", "\0"]),
        (_names.step_name, ["a", "place the order", "ünï 🧂", "x" * 256], ["", "x" * 257, "a\nb", "\x7f", "\x00"]),
        (_names.event_type, ["a", ".a", "order.paid-2"], ["", "-a", "a b", "x" * 101, "é"]),
    ],
)
def test_s1_s2_s8_s21_names(check: Any, good: list[str], bad: list[str]) -> None:
    for name in good:
        assert check(name) == name
    for wrong in [*bad, None, 5, b"a", "a\ud800", ["a"]]:
        with pytest.raises(workflows.InvalidNameError):
            check(wrong)


@given(st.text())
def test_s46_no_text_harms_the_checks_of_names(text: str) -> None:
    for check in (_names.workflow_name, _names.instance_id, _names.step_name, _names.event_type):
        with contextlib.suppress(workflows.InvalidNameError):
            assert check(text) == text


def test_the_native_parser_counts_milliseconds() -> None:
    assert _core.parse_duration("1 s") == 1000
