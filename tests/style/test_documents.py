"""What the Markdown files name exists: links and their anchors, paths, `make` targets, presets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("engine", "examples", "include", "sdk-python", "storage", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])

FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INLINE_CODE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)
PATH = re.compile(r"[\w.*-]+/[\w.*/-]*")
MAKE = re.compile(r"\bmake ((?:[a-z][\w-]*\s*)+)")
PRESET = re.compile(r"--preset[ =]([\w-]+)|\bPRESET=([\w-]+)")

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {target for line in re.findall(r"^\.PHONY:(.*)", MAKEFILE, re.MULTILINE) for target in line.split()}
PRESETS = {preset["name"] for preset in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]}
TOP_LEVEL = {path.name for path in ROOT.iterdir()} - {"build", ".venv"}


def prose(document: Path) -> str:
    return FENCED.sub("", document.read_text())


def commands(document: Path) -> Iterator[str]:
    yield from INLINE_CODE.findall(prose(document))
    for language, block in FENCED.findall(document.read_text()):
        if language in {"sh", "console"}:
            yield from (line.split("#")[0] for line in block.splitlines())


def anchors(document: Path) -> set[str]:
    """The names GitHub gives to headings."""
    headings = HEADING.findall(prose(document))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    for link in LINK.findall(INLINE_CODE.sub("", prose(document))):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_paths(document: Path) -> Iterator[str]:
    """A word is taken for a path of this repository when it begins with one of its top-level names."""
    words = (word.strip("'\",:;()") for command in commands(document) for word in command.split())
    for path in filter(PATH.fullmatch, words):
        if path.split("/")[0] in TOP_LEVEL and not any(ROOT.glob(path.rstrip("/"))):
            yield path


def unknown_commands(document: Path) -> Iterator[str]:
    for command in commands(document):
        for names in MAKE.findall(command):
            yield from (f"make {name}" for name in names.split() if name not in TARGETS)
        for groups in PRESET.findall(command):
            yield from (f"preset {name}" for name in groups if name and name not in PRESETS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_what_a_document_names_exists(document: Path) -> None:
    assert [*broken_links(document), *missing_paths(document), *unknown_commands(document)] == []


def test_the_rules_notice_what_is_missing(tmp_path: Path) -> None:
    document = tmp_path / "bad.md"
    document.write_text(
        "# A title\n[ok](#a-title) [gone](gone.md) [no anchor](#elsewhere) `engine/gone.cpp` `make nothing test`\n"
        "```sh\ncmake --preset nowhere\nmake build  # make comment\n```\n"
    )
    assert [*broken_links(document), *missing_paths(document), *unknown_commands(document)] == [
        "gone.md",
        "#elsewhere",
        "engine/gone.cpp",
        "make nothing",
        "preset nowhere",
    ]
