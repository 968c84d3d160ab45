"""One table, code <-> class, walked both ways."""

from __future__ import annotations

import builtins
import inspect

import pytest
import workflows
from workflows import _core, _errors

TABLE = _core.error_table()


@pytest.mark.parametrize(("code", "name", "exit_code"), TABLE)
def test_every_error_of_the_engine_arrives_as_the_class_of_its_name(code: str, name: str, exit_code: int) -> None:
    with pytest.raises(workflows.WorkflowsError) as caught:
        _core.raise_error(code, "what happened")
    assert type(caught.value) is getattr(workflows, name)
    assert caught.value.code == code
    assert str(caught.value) == "what happened"
    assert exit_code > 0


def test_every_class_has_a_row_in_the_table() -> None:
    classes = {
        name: value.code
        for name, value in vars(workflows).items()
        if inspect.isclass(value)
        and issubclass(value, workflows.WorkflowsError)
        and value is not workflows.WorkflowsError
    }
    assert classes == {name: code for code, name, _ in TABLE}
    assert _errors.by_code.keys() == {code for code, _, _ in TABLE}


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("InstanceNotFoundError", "KeyError"),
        ("InvalidNameError", "ValueError"),
        ("InvalidConfigError", "ValueError"),
        ("InvalidDurationError", "ValueError"),
        ("StepTimeoutError", "TimeoutError"),
        ("WaitTimeoutError", "TimeoutError"),
        ("SerializationError", "TypeError"),
        ("PayloadTooLargeError", "ValueError"),
        ("EngineClosedError", "RuntimeError"),
    ],
)
def test_errors_have_the_standard_base_that_fits(name: str, base: str) -> None:
    assert issubclass(getattr(workflows, name), getattr(builtins, base))


def test_a_key_error_does_not_quote_its_message() -> None:
    assert str(workflows.InstanceNotFoundError("no such instance")) == "no such instance"


def test_public_names_are_sorted_and_belong_to_the_package() -> None:
    assert workflows.__all__ == sorted(workflows.__all__)
    for name in workflows.__all__:
        public = getattr(workflows, name)
        assert public.__module__ == "workflows"
        assert inspect.getdoc(public), f"{name} has no docstring"


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'workflows' has no attribute 'Enigne'"):
        workflows.Enigne  # type: ignore[attr-defined] # noqa: B018


def test_every_public_method_is_documented() -> None:
    for name in workflows.__all__:
        public = getattr(workflows, name)
        if not inspect.isclass(public):
            continue
        for member, value in vars(public).items():
            if inspect.isfunction(value) and not member.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{member} has no docstring"
