"""The floors of ARCHITECTURE.md: what the files of a folder may include, and what the pure floors must not name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
STANDARD_HEADER = re.compile(r"[a-z0-9_]+")

# What reaches out of a pure floor: threads, clocks, files, randomness, logging.
IMPURE_HEADERS = {
    "atomic", "condition_variable", "coroutine", "cstdio", "ctime", "filesystem", "fstream", "future", "iostream",
    "mutex", "random", "semaphore", "shared_mutex", "stop_token", "thread",
    "engine/values/mutex.h",
}  # fmt: skip
IMPURE_WORDS = re.compile(
    r"\b(\w+_clock::now|getenv|random_device|mt19937|this_thread|thread_local|spdlog|printf|std::cout|std::cerr)\b"
)


@dataclass(frozen=True)
class Floor:
    """Includes are allowed by prefix; the standard library always, but for its impure headers on a pure floor."""

    folder: str
    may_include: tuple[str, ...]
    pure: bool = False


MEMORY_AND_THREADS = ("engine/values/mutex.h", "engine/values/prefetch.h", "engine/values/recycled.h")
# Nothing, but for the simulation.
PLANTED = "engine/testing/planted_bug.h"

FLOORS = [
    Floor("include/workflows", ("workflows/",)),
    Floor("engine/values", ("workflows/", "engine/values/", "boost/json", "fmt/")),
    Floor(
        "engine/core",
        ("workflows/", "engine/values/", "engine/core/", PLANTED, "boost/json", "boost/uuid/", "fmt/"),
        pure=True,
    ),
    Floor(
        "storage",
        (
            "workflows/",
            "engine/values/",
            "storage/",
            PLANTED,
            "boost/",
            "fmt/",
            "sqlite3.h",
            "sys/",
            "unistd.h",
            "fcntl.h",
        ),
    ),
    Floor(
        "engine/cli",
        ("workflows/", "engine/values/", "engine/cli/", "CLI/", "fmt/", "sys/", "unistd.h"),
    ),
    Floor(
        "engine/workflow",
        ("workflows/", "engine/workflow/", *MEMORY_AND_THREADS, "boost/", "fmt/", "spdlog/", "poll.h"),
    ),
    Floor(
        "sdk-python/src",
        (
            "workflows/",
            "sdk-python/src/",
            "engine/cli/cli.h",
            "pybind11/",
            "Python.h",
            "structmember.h",
            "boost/json",
            "unistd.h",
        ),
    ),
    Floor("examples/cpp", ("workflows/", "boost/json", "boost/describe", "sys/", "unistd.h", "fcntl.h")),
]

# The codec is where C++ types become JSON, so it alone shows Boost.JSON to users.
EXCEPTIONS = {("include/workflows/codec.h", "boost/json")}


def sources(folder: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in {".h", ".cpp"})


def forbidden_includes(floor: Floor, path: Path) -> Iterator[str]:
    name = path.relative_to(ROOT).as_posix()
    for bracket, header in INCLUDE.findall(path.read_text()):
        excepted = any(name == file and header.startswith(prefix) for file, prefix in EXCEPTIONS)
        is_standard = bracket == "<" and STANDARD_HEADER.fullmatch(header)
        is_neighbour = bracket == '"' and (path.parent / header).exists()
        is_allowed = is_neighbour or is_standard or excepted or header.startswith(floor.may_include)
        if not is_allowed or (floor.pure and header in IMPURE_HEADERS):
            allowed = ", ".join(floor.may_include)
            yield f"{name} includes {header}; {floor.folder} may include the standard library and {allowed}"


@pytest.mark.parametrize("floor", FLOORS, ids=lambda floor: floor.folder)
def test_a_floor_sees_only_what_lies_below_it(floor: Floor) -> None:
    forbidden = [line for path in sources(floor.folder) for line in forbidden_includes(floor, path)]
    assert not forbidden, "\n".join(forbidden)


@pytest.mark.parametrize("floor", [floor for floor in FLOORS if floor.pure], ids=lambda floor: floor.folder)
def test_a_pure_floor_has_no_clock_no_thread_no_randomness_and_no_output(floor: Floor) -> None:
    found = [(path.name, word) for path in sources(floor.folder) for word in IMPURE_WORDS.findall(path.read_text())]
    assert found == []


def test_the_rules_notice_a_forbidden_include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "engine/core/bad.cpp"
    source.parent.mkdir(parents=True)
    source.write_text('#include "storage/store.h"\n#include <thread>\n#include <vector>\n#include <spdlog/spdlog.h>\n')
    floor = next(floor for floor in FLOORS if floor.folder == "engine/core")
    assert [line.split(";")[0].split(" includes ")[1] for line in forbidden_includes(floor, source)] == [
        "storage/store.h",
        "thread",
        "spdlog/spdlog.h",
    ]
