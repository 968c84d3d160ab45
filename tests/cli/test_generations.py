"""An instance is its newest generation; older ones are there to be looked at, under their own names."""

import json
from pathlib import Path

import pytest

from cli_support import Cli
from histories import History, complete_order, failed_order, imported


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """One instance that was restarted twice."""
    cli = imported(tmp_path, failed_order("a"))
    cli.ok("restart", "a", "--from-step", "charge")
    cli.ok("restart", "a")
    return cli


def test_s28_a_list_has_the_newest_generation_alone(cli: Cli) -> None:
    def listed(*arguments: str) -> list[tuple[int, str]]:
        infos = cli.json_lines("instance", "list", *arguments)
        return [(info["generation"], info["status"]) for info in infos]

    assert listed() == [(3, "queued")]
    assert listed("--status", "errored") == []
    assert cli.json("count", "list", "--count")["count"] == 1
    assert listed("--all-generations") == [(1, "errored"), (2, "terminated"), (3, "queued")]
    assert [line.split()[3] for line in cli.ok("list", "--all-generations").splitlines()[1:]] == ["a@1", "a@2", "a@3"]


def test_s28_statistics_count_an_instance_once(cli: Cli) -> None:
    assert cli.json("stats", "stats")["counts"] == [{"workflow": "order", "status": "queued", "instances": 1}]


def test_s28_an_old_generation_is_shown_under_its_own_name(cli: Cli) -> None:
    assert cli.ok("inspect", "a@1").startswith("✗ errored  order/a@1\n")
    assert cli("diff", "a@1", "a").out.startswith("A order/a@1  errored\nB order/a@3  queued\n")
    names = [line.split()[0] for line in cli.ok("tail").splitlines()]
    assert list(dict.fromkeys(names)) == ["order/a@1", "order/a@2"]


def test_s28_a_generation_took_as_long_as_it_ran_itself(tmp_path: Path) -> None:
    late = complete_order("late")
    late.instance["created"] = "2025-01-01T00:00:00.000Z"
    late.instance["generation"] = 2
    assert "finished    2026-01-01 00:00:07Z (23h 59m ago), after 7.0 s\n" in imported(tmp_path, late).ok(
        "inspect", "late"
    )


def redacted(tmp_path: Path, how: str) -> Cli:
    cli = imported(tmp_path, complete_order("o-1"))
    exported = cli.ok("export", "o-1", *([how] if how else []))
    other = Cli(tmp_path / "other.db")
    assert other("import", "-", stdin=exported).code == 0
    return other


@pytest.mark.parametrize("how", ["", "--redact"])
def test_s17_what_was_redacted_stays_so_after_an_import(tmp_path: Path, how: str) -> None:
    cli = redacted(tmp_path, how)
    assert json.loads(cli.ok("export", "o-1", "--sensitive"))["redacted"] is True
    error = cli.error("restart", "o-1", "--from-step", "charge")
    assert (error["code"], "--sensitive" in error["message"]) == ("serialization", True)


def test_s17_an_instance_is_not_restarted_with_params_that_were_redacted(tmp_path: Path) -> None:
    assert redacted(tmp_path, "--redact").error("restart", "o-1")["code"] == "serialization"


def test_an_instance_whose_params_are_whole_is_restarted_from_the_beginning(tmp_path: Path) -> None:
    cli = redacted(tmp_path, "")
    assert cli.json("restart", "restart", "o-1")["instance"]["generation"] == 2
    assert json.loads(cli.ok("export", "o-1"))["redacted"] is False


@pytest.mark.parametrize("version", ["1.10", "true", "v2"])
def test_a_version_is_a_text_also_where_it_looks_like_something_else(tmp_path: Path, version: str) -> None:
    history = History("order", "o-1", version="1").entry("version", 0, value=version).complete(1, None)
    cli = imported(tmp_path, history)
    assert cli.json_lines("entry", "tail", "o-1")[0]["value"] == version
    assert json.loads(cli.ok("export", "o-1"))["entries"][0]["value"] == version
    assert cli.json("inspect", "inspect", "o-1")["versions"] == ["1", version]


def test_an_instance_without_a_version_is_exported_without_one(tmp_path: Path) -> None:
    cli = imported(tmp_path, failed_order())
    exported = cli.ok("export", "o-2")
    assert json.loads(exported)["instance"]["version"] is None
    other = Cli(tmp_path / "other.db")
    assert other("import", "-", stdin=exported).code == 0
    assert other.json("inspect", "inspect", "o-2")["instance"]["version"] is None
