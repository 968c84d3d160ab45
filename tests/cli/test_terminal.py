"""A real terminal: colours, width, questions and answers, Ctrl-C."""

import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from cli_support import Cli
from cli_terminal import Terminal
from histories import History, failure, hostile, imported

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_colours_are_for_terminals_that_want_them(shop: Cli) -> None:
    with Terminal(shop, "inspect", "o-1") as terminal:
        coloured = terminal.rest()
    assert "\x1b[32m✓ complete\x1b[0m" in coloured
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with Terminal(shop, "inspect", "o-1", columns=80, **environment) as terminal:
            assert terminal.rest() == COLOUR.sub("", coloured)
    assert "\x1b" not in shop.ok("inspect", "o-1")


@pytest.mark.parametrize("columns", [30, 40, 60, 132])
def test_lines_fit_the_terminal(shop: Cli, columns: int) -> None:
    commands = [
        ["inspect", "o-1"],
        ["inspect", "o-3"],
        ["list"],
        ["tail", "o-1"],
        ["tail"],
        ["replay", "o-1"],
        ["stats"],
    ]
    for arguments in (*commands, ["diff", "o-1", "o-2"]):
        with Terminal(shop, *arguments, columns=columns) as terminal:
            lines = COLOUR.sub("", terminal.rest()).splitlines()
        assert max(map(len, lines)) <= columns, lines


UUIDS = ["0190f3a2-77c1-7d31-9f00-3b1a5e6c7d01", "0190f3a2-77c1-7d31-9f00-3b1a5e6c7d02"]


def test_ids_are_whole_on_a_terminal_of_80_columns(tmp_path: Path) -> None:
    cli = imported(tmp_path, *(History("order", id).pause(1) for id in UUIDS))
    assert all(id in replace(cli, columns=80).ok("list") for id in UUIDS)


def test_ids_that_do_not_fit_are_told_apart_with_a_hint(tmp_path: Path) -> None:
    cli = replace(imported(tmp_path, *(History("order", id).pause(1) for id in UUIDS)), columns=40)
    lines = cli.ok("list").splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[1] != lines[2]
    assert " ".join(lines[3:]) == "Ids are cut to fit; --json has them whole."
    lines = replace(cli, columns=80).ok("tail").splitlines()
    assert len({line.split()[0] for line in lines}) == 2


def test_what_is_cut_says_how_to_see_all_on_a_narrow_terminal(tmp_path: Path) -> None:
    what = failure("builtins.OSError", "a long story " * 10)
    history = History("order", "o-1", "p" * 200).do("charge", 1, 2, "r" * 200, failures=((0, 1, what),)).pause(3)
    cli = imported(tmp_path, history)
    for columns in (30, 45, 100):
        assert replace(cli, columns=columns).ok("inspect", "o-1").count("--json") == 3


def test_no_line_is_written_again_where_the_terminal_cannot(own_shop: Cli, tmp_path: Path) -> None:
    with Terminal(own_shop, "doctor") as terminal:
        assert "\x1b[K" in terminal.rest()
    with Terminal(own_shop, "doctor", TERM="dumb") as terminal:
        assert "\x1b" not in terminal.rest()


def test_nothing_hostile_reaches_the_terminal(tmp_path: Path) -> None:
    cli = imported(tmp_path, hostile())
    for arguments in (["inspect", "evil"], ["list"], ["tail", "evil"], ["replay", "evil"], ["graph", "evil"]):
        with Terminal(cli, *arguments) as terminal:
            shown = COLOUR.sub("", terminal.rest()).replace("\r\n", "\n")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)


def test_one_steps_through_a_history(shop: Cli) -> None:
    prompt = "next, back, state or quit? "
    with Terminal(shop, "replay", "o-1", "--step", NO_COLOR="1") as terminal:
        assert "0/10  order/o-1  created" in terminal.until(prompt)
        terminal.type("\n")
        assert "1/10" in terminal.until(prompt)
        terminal.type("next\n")
        assert "card token" in terminal.until(prompt)
        terminal.type("back\n")
        assert "1/10" in terminal.until(prompt)
        terminal.type("state\n")
        state = terminal.until(prompt)
        assert "running  order/o-1" in state
        assert "reserve stock" in state
        assert "card token" not in state
        terminal.type("what\n")
        assert '"what" is not a command here.' in terminal.until(prompt)
        terminal.type("quit\n")
        terminal.rest()
        assert terminal.process.returncode == 0


def test_stepping_ends_with_the_input(shop: Cli) -> None:
    assert shop("replay", "o-1", "--step", stdin="n\nb\nb\n").code == 0


@pytest.mark.parametrize("arguments", [["replay", "o-1", "--step"], ["tail", "o-3", "-f"], ["tail", "-f"]])
def test_ctrl_c_ends_what_waits(shop: Cli, door: list[str], arguments: list[str]) -> None:
    with Terminal(replace(shop, door=door), *arguments) as terminal:
        terminal.until("order/o-1" if "o-3" not in arguments else "paused")
        terminal.type("\x03")
        terminal.rest()
        assert terminal.process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert sorted(file.name for file in shop.db.parent.iterdir()) == ["shop.db", "shop.db-owners"]


def test_tail_follows_until_the_end(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").do("one", 0, 1, 1).pause(2))
    with Terminal(cli, "tail", "o-1", "-f", NO_COLOR="1") as terminal:
        terminal.until("paused")
        cli.ok("resume", "o-1")
        terminal.until("resumed")
        cli.ok("terminate", "o-1")
        terminal.until("instance_terminated")
        terminal.rest()
        assert terminal.process.returncode == 0


def test_a_tail_ends_when_its_instance_is_deleted(own_shop: Cli) -> None:
    with Terminal(own_shop, "tail", "o-3", "-f", NO_COLOR="1") as terminal:
        terminal.until("paused")
        own_shop.ok("delete", "o-3")
        assert "order/o-3 was deleted." in terminal.rest()
        assert terminal.process.returncode == 3


def test_tail_of_all_follows(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").do("one", 0, 1, 1).pause(2))
    with Terminal(cli, "tail", "-f", NO_COLOR="1") as terminal:
        terminal.until("paused")
        assert (
            cli("import", "-", stdin=History("order", "o-2").do("late one", 0, 1, 1).complete(1, 1).document()).code
            == 0
        )
        terminal.until("late one")
        terminal.until("instance_completed")
