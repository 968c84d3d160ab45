"""Whole outputs at a fixed width and time, and that both doors give the same."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cli_support import GOLDEN, PYTHON, ROOT, Cli, check_golden
from histories import History, complete_order, failed_order, hostile, imported

READING = {
    "list": ["list"],
    "list_errored": ["list", "--status", "errored", "--workflow", "order"],
    "list_count": ["list", "--count", "--id-prefix", "o-"],
    "inspect_complete": ["inspect", "o-1"],
    "inspect_errored": ["inspect", "order/o-2"],
    "inspect_paused": ["inspect", "o-3@1"],
    "tail": ["tail", "o-1"],
    "tail_all": ["tail"],
    "graph": ["graph", "o-1"],
    "graph_mermaid": ["graph", "o-1", "--format", "mermaid"],
    "graph_dot": ["graph", "o-2", "--format", "dot"],
    "replay": ["replay", "o-1"],
    "replay_until": ["replay", "o-1", "--until", "charge"],
    "replay_at": ["replay", "o-3", "--at", "2026-01-01T00:02:01.500Z"],
    "export": ["export", "o-2"],
    "completion_bash": ["completion", "bash"],
    "completion_zsh": ["completion", "zsh"],
    "completion_fish": ["completion", "fish"],
    "help": ["--help"],
    "help_inspect": ["inspect", "--help"],
}


@pytest.mark.parametrize("name", READING)
def test_output_is_as_it_was(shop: Cli, name: str) -> None:
    check_golden(name, shop.ok(*READING[name]))


@pytest.mark.parametrize("name", READING)
def test_both_doors_give_the_same(shop: Cli, name: str) -> None:
    through_python = replace(shop, door=PYTHON)
    assert through_python(*READING[name]) == shop(*READING[name])


def test_both_doors_give_the_same_json_and_errors(shop: Cli) -> None:
    through_python = replace(shop, door=PYTHON)
    for arguments in (["inspect", "o-1"], ["inspect", "nobody"], ["nonsense"]):
        assert through_python("--json", *arguments) == shop("--json", *arguments)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["li"], ["list"]),
        (["--db", "x.db", "li"], ["list"]),
        (["--v"], ["--version"]),
        (["--db", "x.db", "list", "--st"], ["--status"]),
        (["list", "--status", "wait"], ["waiting", "waitingForPause"]),
        (["tail", "-f"], ["-f"]),
        (["graph", "o-1", "--format", "m"], ["mermaid"]),
        (["completion", ""], ["bash", "zsh", "fish", "--help", "-h", "--db", "--json"]),
        (["list", "--he"], ["--help"]),
    ],
    ids=" ".join,
)
def test_bash_completes(shop: Cli, words: list[str], offered: list[str]) -> None:
    script = shop.ok("completion", "bash") + '\nCOMP_WORDS=(workflows "$@"); COMP_CWORD=$#; _workflows; '
    asked = ["bash", "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"', "bash", *words]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines() == offered


def test_what_an_end_cut_short_waits_for_nothing(own_shop: Cli) -> None:
    own_shop.ok("resume", "o-3")
    own_shop.ok("terminate", "o-3")
    shown = own_shop.ok("inspect", "o-3")
    assert "■ sleep     a day" in shown
    assert shown.count("was not over when the instance ended") == 3
    assert "until" not in shown


def test_output_fits_a_narrow_terminal(shop: Cli) -> None:
    check_golden("inspect_narrow", replace(shop, columns=60).ok("inspect", "o-1"))
    check_golden("list_narrow", replace(shop, columns=60).ok("list"))


def test_hostile_texts_are_shown_harmlessly(tmp_path: Path) -> None:
    check_golden("inspect_hostile", imported(tmp_path, hostile()).ok("inspect", "evil"))


def test_a_difference_is_shown_with_a_summary(shop: Cli, tmp_path: Path) -> None:
    answer = shop("diff", "o-1", "o-2")
    assert answer.code == 1
    check_golden("diff", answer.out)


def test_the_same_run_twice_has_no_difference(shop: Cli, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(complete_order().document())
    exported = tmp_path / "o-1.json"
    exported.write_text(shop.ok("export", "o-1", "--sensitive"))
    assert "They are the same" in shop.ok("diff", str(file), str(exported))
    assert "They are the same" in shop.ok("diff", "o-2", "o-2@1")


def test_gaps_between_generations_are_found(tmp_path: Path) -> None:
    cli = imported(tmp_path, failed_order())
    cli.ok("restart", "o-2", "--from-step", "charge")
    answer = cli("diff", "o-2@1", "o-2")
    assert answer.code == 1
    assert "steps the same: 1\nsteps only of A: do charge\n" in answer.out


def test_the_labels_of_a_mermaid_graph_are_texts(tmp_path: Path) -> None:
    cli = imported(tmp_path, History("order", "o-1").do('a #35; <b>"b"</b> & c', 0, 1, 1).pause(2))
    drawn = cli.ok("graph", "o-1", "--format", "mermaid")
    assert 's0["a #35;35; #60;b#62;#34;b#34;#60;/b#62; #38; c"]:::completed' in drawn


def test_the_readme_shows_real_output() -> None:
    assert (GOLDEN / "inspect_complete.txt").read_text() in (ROOT / "README.md").read_text()
