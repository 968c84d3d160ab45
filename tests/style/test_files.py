"""Files stay short enough to be read in one sitting, and every public header stands alone."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE_LINES = 700
FOLDERS = ("engine", "examples", "include", "sdk-python", "storage", "tests")
PUBLIC_HEADERS = sorted((ROOT / "include/workflows").rglob("*.h"))
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")


def test_no_source_file_is_longer_than_700_lines() -> None:
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*"))
    sources = (path for path in files if path.suffix in {".h", ".cpp", ".py", ".pyi"})
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE_LINES} == {}


@pytest.mark.parametrize("compiler", ["g++", "clang++-19"])
@pytest.mark.parametrize("header", PUBLIC_HEADERS, ids=lambda header: header.name)
def test_a_public_header_compiles_alone_as_cpp20(header: Path, compiler: str) -> None:
    command = [compiler, "-std=c++20", "-fsyntax-only", "-x", "c++", *WARNINGS, f"-I{ROOT / 'include'}", "-"]
    source = f"#include <workflows/{header.name}>\n"
    result = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
