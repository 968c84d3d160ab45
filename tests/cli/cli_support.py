"""What the tests of the command line share: the two doors, schemas, whole outputs that are compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("WORKFLOWS_BUILD", ROOT / "build/release")) / "workflows"
NATIVE = [str(PROGRAM)]
PYTHON = [sys.executable, "-m", "workflows"]
GOLDEN = Path(__file__).parent / "golden"
NOW = "2026-01-02T00:00:00.000Z"
SCHEMAS = json.loads((ROOT / "engine/cli/schemas.json").read_text())


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    """One door, with a database."""

    db: Path
    door: list[str] = field(default_factory=lambda: NATIVE)
    columns: int | None = 100
    folder: Path | None = None

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str) -> Answer:
        """Runs a command to its end."""
        done = subprocess.run(
            [*self.door, *arguments], capture_output=True, text=True, errors="strict", input=stdin, check=False,
            timeout=60, env=self.environment(**environment), cwd=self.folder,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def environment(self, **more: str) -> dict[str, str]:
        base = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "WORKFLOWS_DB")}
        width = {} if self.columns is None else {"COLUMNS": str(self.columns)}
        return {**base, **width, "WORKFLOWS_DB": str(self.db), "WORKFLOWS_CLI_NOW": NOW, **more}

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        """The output of a command that succeeds and says nothing else."""
        answer = self(*arguments, stdin=stdin)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.out

    def json(self, shape: str, *arguments: str, code: int = 0) -> Any:
        """The one object that a command prints, checked against its schema."""
        answer = self("--json", *arguments)
        assert (answer.code, answer.err) == (code, ""), answer
        return valid(shape, json.loads(answer.out))

    def json_lines(self, shape: str, *arguments: str) -> list[Any]:
        answer = self("--json", *arguments)
        assert (answer.code, answer.err) == (0, ""), answer
        return [valid(shape, json.loads(line)) for line in answer.out.splitlines()]

    def error(self, *arguments: str) -> dict[str, Any]:
        """The error of a command that fails, which is told as text and as JSON alike."""
        as_text, as_json = self(*arguments), self("--json", *arguments)
        error: dict[str, Any] = valid("error", json.loads(as_json.err))["error"]
        assert as_json.out == ""
        assert as_json.code == as_text.code == error["exit_code"]
        assert as_text.err.startswith("workflows: ")
        return error


def valid(shape: str, value: Any) -> Any:
    schema = {"$ref": f"#/$defs/{shape}", "$defs": SCHEMAS["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(value)
    return value


def check_golden(name: str, output: str) -> None:
    """Compares with the file of this name. `GOLDEN=write` writes it: look at the difference before you commit it."""
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(output)
    assert output == file.read_text()
