# pyright: basic
"""Exceptions come back as themselves (S13)."""

from __future__ import annotations

import json
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
import workflows
from hypothesis import given
from hypothesis import strategies as st
from workflows import _failures
from workflows._values import Codec

import shapes
from support import PATIENCE_S, opened

codec = Codec()


def recorded(error: BaseException) -> Exception:
    return _failures.to_exception(_failures.from_exception(error, codec), codec)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def test_s13_a_users_exception_keeps_class_attributes_and_cause() -> None:
    original = raised(shapes.CardDeclinedError(51, card="visa"), ValueError("no funds"))
    error = recorded(original)
    assert isinstance(error, shapes.CardDeclinedError)
    assert (error.code, error.card, str(error), error.args) == (51, "visa", "declined with 51", ("declined with 51",))
    assert isinstance(error.__cause__, ValueError)
    assert str(error.__cause__) == "no funds"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 1, (2, 3)),
        KeyError("missing"),
        FileNotFoundError(2, "No such file", "/tmp/x"),
        TimeoutError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        StopAsyncIteration(3),
        ImportError("no", name="module", path="/there"),
        subprocess.CalledProcessError(3, ["cmd"], output=b"out"),
        json.JSONDecodeError("bad", "{", 1),
        workflows.NonRetryableError("stop"),
        workflows.StepTimeoutError("late"),
        workflows.InstanceNotFoundError("who"),
        workflows.StepError("gone", type_name="a.B", traceback="t", data={"x": 1}),
        workflows.WorkflowFailedError("failed", ValueError("inner")),
    ],
)
def test_s13_text_arguments_and_attributes_survive(error: Exception) -> None:
    again = recorded(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert {k: repr(v) for k, v in vars(again).items()} == {k: repr(v) for k, v in vars(error).items()}
    for name in ("errno", "filename", "reason", "start", "returncode", "pos", "path", "code"):
        assert getattr(again, name, None) == getattr(error, name, None)


@given(
    st.lists(st.none() | st.integers() | st.text() | st.binary(), max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.text()),
)
def test_s13_any_arguments_and_attributes(args: list[Any], attributes: dict[str, str]) -> None:
    error = shapes.PlainError(*args)
    vars(error).update(attributes)
    again = recorded(error)
    assert (type(again), again.args, vars(again)) == (shapes.PlainError, tuple(args), attributes)


def test_s13_notes_are_kept() -> None:
    error = ValueError("x")
    error.add_note("while counting")
    assert recorded(error).__notes__ == ["while counting"]


def test_s13_a_group_comes_back_with_its_exceptions() -> None:
    group = recorded(ExceptionGroup("two", [ValueError("a"), shapes.CardDeclinedError(1, card="c")]))
    assert isinstance(group, ExceptionGroup)
    assert [type(e) for e in group.exceptions] == [ValueError, shapes.CardDeclinedError]


def test_s13_what_an_exception_holds_and_cannot_be_recorded_is_there_as_text() -> None:
    error = shapes.PlainError("request failed", shapes.Unrecordable())
    error.response = shapes.Unrecordable()  # type: ignore[attr-defined]
    again = recorded(error)
    assert again.args == ("request failed", "<an open socket>")
    assert vars(again) == {"response": "<an open socket>"}


def test_s13_an_exception_that_holds_itself_is_recorded() -> None:
    error = shapes.PlainError("x")
    error.me = error  # type: ignore[attr-defined]
    error.also = [error, error]  # type: ignore[attr-defined]
    error.__cause__ = error
    assert isinstance(recorded(error), shapes.PlainError)


def test_s13_a_class_that_cannot_be_imported_comes_as_step_error_with_all_of_it() -> None:
    class LocalError(Exception):
        pass

    error = LocalError("lost", 3)
    error.hint = "look"  # type: ignore[attr-defined]
    again = recorded(raised(error, KeyError("k")))
    assert isinstance(again, workflows.StepError)
    assert again.type_name.endswith("LocalError")
    assert again.message == str(error)
    assert "LocalError" in again.traceback
    assert again.data["args"] == ["lost", 3]
    assert again.data["state"] == {"hint": "look"}
    assert isinstance(again.__cause__, KeyError)


@pytest.mark.parametrize("reference", ["os:system", "builtins:dict", "builtins:KeyboardInterrupt", "no.such:Error"])
def test_s13_only_exceptions_are_made(reference: str) -> None:
    failure = _failures.from_exception(ValueError("x"), codec)
    forged = failure._replace(data=failure.data.replace(b"builtins:ValueError", reference.encode()))
    assert isinstance(_failures.to_exception(forged, codec), workflows.StepError)


def test_s13_failures_that_the_engine_makes_are_its_own_classes() -> None:
    timeout = _failures.to_exception(("StepTimeoutError", "too slow", True, "", None, b""), codec)
    assert isinstance(timeout, workflows.StepTimeoutError)
    lost = _failures.to_exception(("ProcessLost", "died", True, "", None, b""), codec)
    assert isinstance(lost, workflows.StepError)
    assert lost.type_name == "ProcessLost"
    foreign = _failures.to_exception(("std::runtime_error", "from C++", True, "", None, b""), codec)
    assert isinstance(foreign, workflows.StepError)
    assert foreign.type_name == "std::runtime_error"


def test_s13_non_retryable_and_its_subclasses_say_so() -> None:
    class Final(workflows.NonRetryableError):
        pass

    assert _failures.from_exception(ValueError(), codec).retryable
    for error in (workflows.NonRetryableError(), Final(), workflows.SerializationError()):
        assert not _failures.from_exception(error, codec).retryable


def test_s13_the_traceback_shows_user_code_and_not_the_library() -> None:
    failure = _failures.from_exception(raised(ValueError("x")), codec)
    assert "test_exceptions.py" in failure.traceback
    assert "ValueError: x" in failure.traceback


def test_s13_the_traceback_of_an_error_that_is_raised_again_leads_to_where_it_came_from() -> None:
    def charge() -> None:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise shapes.PlainError("declined") from error

    def run() -> None:
        raise _failures.to_exception(of_step, codec)

    def failure_of(function: Callable[[], None]) -> _failures.Failure:
        with pytest.raises(shapes.PlainError) as caught:
            function()
        return _failures.from_exception(caught.value, codec)

    of_step = failure_of(charge)
    of_run = _failures.Failure._make(failure_of(run))
    frames = [line.rpartition(", in ")[2] for line in of_run.traceback.splitlines() if line.startswith("  File")]
    assert frames == ["failure_of", "run", "failure_of", "charge"]
    assert of_run.traceback.count("PlainError: declined") == 1
    assert "KeyError" not in of_run.traceback  # the cause has its own
    cause = _failures.Failure._make(of_run.cause)
    assert 'raise KeyError("k")' in cause.traceback
    assert _failures.to_exception(of_run, codec).args == ("declined",)


async def test_s13_no_frame_of_the_library_is_recorded(tmp_path: Path) -> None:
    @workflows.workflow
    async def fails(event: workflows.Event, step: workflows.Step) -> None:
        @step.do("charge", config={"retries": {"limit": 0}})
        async def charge() -> None:
            raise shapes.PlainError("declined")

        await charge()

    async with opened(tmp_path / "shop.db", fails) as engine:
        instance = await engine.create(fails, id="f")
        with pytest.raises(workflows.WorkflowFailedError) as failed:
            await instance.result(PATIENCE_S)
        error = (await instance.status()).error
    assert 'raise shapes.PlainError("declined")' in "".join(traceback.format_exception(failed.value))
    assert error is not None
    shown = _failures.from_exception(error, codec).traceback
    assert [line.rpartition(", in ")[2] for line in shown.splitlines() if line.startswith("  File")] == [
        "fails",
        "charge",
    ]


def test_s13_exceptions_are_values_too() -> None:
    value = workflows.JsonSerializer().loads(
        workflows.JsonSerializer().dumps({"e": shapes.CardDeclinedError(7, card="x")})
    )
    assert isinstance(value["e"], shapes.CardDeclinedError)
    assert value["e"].code == 7


def test_s13_a_validation_error_of_pydantic_is_at_least_its_text() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        shapes.Model.model_validate({})
    again = recorded(caught.value)
    assert "name" in (again.message if isinstance(again, workflows.StepError) else str(again))


def test_s13_text_that_is_not_unicode_is_recorded() -> None:
    assert "\\ud800" in _failures.from_exception(ValueError("half \ud800"), codec).message
    assert recorded(ValueError("half \ud800")).args == ("half \ud800",)


def test_s13_a_very_long_chain_of_causes_is_cut() -> None:
    error: Exception = ValueError(0)
    for number in range(1, 200):
        following = ValueError(number)
        following.__cause__ = error
        error = following
    again: BaseException | None = recorded(error)
    length = 0
    while again is not None:
        again, length = again.__cause__, length + 1
    assert 30 < length < 100
