"""README.md's programs run, in C++ against the installed library. A fence marked `fragment` is no program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WORKFLOWS_BUILD", ROOT / "build/release"))
FENCE = re.compile(r"^```(cpp|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = FENCE.findall((ROOT / "README.md").read_text())
PYTHON_PROGRAMS = [text for language, text in PROGRAMS if language == "python"]
CPP_PROGRAMS = [text for language, text in PROGRAMS if language == "cpp"]
LONGEST_RUN_S = 120


def succeed(*command: str | Path, cwd: Path = ROOT) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LONGEST_RUN_S * 5, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_the_readme_has_a_program_in_each_language() -> None:
    assert PYTHON_PROGRAMS
    assert CPP_PROGRAMS


@pytest.mark.parametrize("program", PYTHON_PROGRAMS)
def test_a_python_program_of_the_readme_runs(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    assert succeed(sys.executable, "-W", "error", "program.py", cwd=tmp_path)


def test_the_cpp_programs_of_the_readme_build_against_the_installed_library_and_run(tmp_path: Path) -> None:
    prefix, consumer = tmp_path / "prefix", tmp_path / "consumer"
    succeed("cmake", "--install", BUILD, "--prefix", prefix, "--component", "library")
    sources = [tmp_path / f"program_{number}.cpp" for number in range(len(CPP_PROGRAMS))]
    for source, text in zip(sources, CPP_PROGRAMS, strict=True):
        source.write_text(text)
    succeed(
        "cmake", "-G", "Ninja", "-S", ROOT / "tests/docs/consumer", "-B", consumer,
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DPROGRAMS={';'.join(map(str, sources))}",
    )  # fmt: skip
    succeed("cmake", "--build", consumer)
    for source in sources:
        assert succeed(consumer / source.stem, cwd=tmp_path)
