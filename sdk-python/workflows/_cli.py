"""The console script `workflows`: the native command line, and the commands that need Python code."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
from types import ModuleType
from typing import Any, TextIO, TypedDict

from workflows import _core
from workflows._define import define
from workflows._errors import InvalidConfigError, StoreError, WorkflowsError
from workflows._exceptions import traceback_text

_UNEXPECTED = 70  # as the native part has it


class Request(TypedDict):
    """A command that needs Python code, as the native command line understood it."""

    command: str
    db: str
    json: bool
    targets: list[str]
    id: str
    params: str
    debug: str
    all: bool
    workflow: str
    status: str


def main() -> int:
    """Runs the command line of this process; returns the exit code."""
    requests: list[Request] = []
    sys.stdout.flush()
    # The native part is one uninterruptible call for Python: signals do what they do to any program.
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in (signal.SIGINT, signal.SIGPIPE)]
    code = _core.cli_main([os.fsencode(word) for word in sys.argv[1:]], requests.append)
    for number, handler in before:
        signal.signal(number, handler)
    if not requests:
        return code
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # as the native part writes, whatever the locale
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    return carry_out(requests[0])


def carry_out(request: Request) -> int:
    """Carries out a command that needs Python code; returns the exit code."""
    # With --json, standard output is for JSON alone: what the user's code prints goes to standard error.
    prints = contextlib.redirect_stdout(sys.stderr) if request["json"] else contextlib.nullcontext()
    try:
        with prints:
            return _run_command(request)
    except WorkflowsError as error:
        return _fail(request, error.code, str(error), _core.cli_exit_code(error.code))
    except KeyboardInterrupt:
        return interrupted(request, "Stopped.")
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), _output().fileno())  # Python writes what is left when it exits
        return 128 + signal.SIGPIPE
    except Exception as error:
        return _fail(request, "unexpected", f"{traceback_text(error)}Please report this.", _UNEXPECTED)


def say(text: str) -> None:
    """Prints a result. StoreError if it does not arrive, for example because the disk is full."""
    try:
        print(text, file=_output(), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"The output could not be written: {error.strerror}.") from None


def note(request: Request, message: str) -> None:
    """Says on standard error what is no result and no error."""
    if request["json"]:
        message = json.dumps({"note": {"message": message}}, ensure_ascii=False)
    print(message if request["json"] else harmless(message), file=sys.stderr, flush=True)


def interrupted(request: Request, message: str) -> int:
    """Tells that Ctrl-C ended the command; returns the exit code."""
    code = 128 + signal.SIGINT
    if request["json"]:
        return _fail(request, "interrupted", message, code)
    print(f"\n{harmless(message)}", file=sys.stderr)
    return code


def _output() -> TextIO:
    assert sys.__stdout__ is not None
    return sys.__stdout__


def load(target: str) -> Any:
    """What MODULE:NAME names. InvalidConfigError says why there is nothing."""
    module_name, colon, name = target.partition(":")
    if not colon or not name:
        raise InvalidConfigError(f"The workflow {target!r} is not accepted. Accepted: MODULE:NAME, such as shop:Order.")
    module = load_module(module_name)
    found = getattr(module, name, None)
    if found is None:
        known = ", ".join(workflow_names(module)) or "none"
        raise InvalidConfigError(f"The module {module_name!r} has no {name!r}. Its workflows: {known}.")
    try:
        define(found)
    except TypeError as error:
        raise InvalidConfigError(str(error)) from None
    return found


def load_module(name: str) -> ModuleType:
    """The module, looked for in the working directory first, as `python -m` does."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}."):  # it is there, or needs another that is not
            raise InvalidConfigError(
                f"The module {name!r} cannot be imported.\n{traceback_text(error)}".rstrip()
            ) from None
        raise InvalidConfigError(
            f"There is no module {name!r}. Looked for in {os.getcwd()} and where Python finds its packages."
        ) from None


def workflow_names(module: ModuleType) -> list[str]:
    """The names by which a module, or a package, has workflows of its own; each workflow once."""
    first = {id(value): name for name, value in reversed(vars(module).items()) if _is_workflow(value, module)}
    return [name for name, value in vars(module).items() if first.get(id(value)) == name]


def _is_workflow(value: object, module: ModuleType) -> bool:
    if not f"{getattr(value, '__module__', None)}.".startswith(f"{module.__name__}."):
        return False  # imported from elsewhere
    try:
        define(value)
    except (TypeError, WorkflowsError):
        return False
    return True


def _run_command(request: Request) -> int:
    if request["command"] == "run":
        from workflows import _cli_run  # importing the package does not need it

        return _cli_run.run(request)
    if request["command"] == "worker":
        from workflows import _cli_worker

        return _cli_worker.serve(request)
    from workflows import _cli_replay

    return _cli_replay.replay(request)


def _fail(request: Request, code: str, message: str, exit_code: int) -> int:
    if request["json"]:
        message = json.dumps({"error": {"code": code, "message": message, "exit_code": exit_code}}, ensure_ascii=False)
    else:
        message = f"workflows: {harmless(message)}"
    print(message, file=sys.stderr)
    return exit_code


def harmless(text: str) -> str:
    """Text in which nothing but line breaks acts on a terminal."""
    return _core.cli_harmless(text.encode("utf-8", "backslashreplace"))
