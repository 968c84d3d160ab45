"""`pip install .` gives a package that works outside of the repository."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_works_in_a_fresh_environment(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # No isolation, no network; with the compiler and flags of `make build`, ccache has nearly every object already.
    how = ["--no-build-isolation", "--no-deps", "--config-settings=cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=ON"]
    subprocess.run([*pip, "wheel", *how, "-w", tmp_path, "."], cwd=ROOT, env=os.environ | {"CXX": "g++"}, check=True)
    [wheel] = tmp_path.glob("*.whl")

    venv.create(tmp_path / "fresh", with_pip=False, symlinks=True)
    python = tmp_path / "fresh/bin/python"
    subprocess.run([*pip, "--python", python, "install", "--no-index", wheel], check=True)
    where = subprocess.run(
        [python, "-c", "import workflows, workflows._core as core; print(core.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(tmp_path / "fresh")
    script = subprocess.run([tmp_path / "fresh/bin/workflows", "--version"], capture_output=True, text=True, check=True)
    assert script.stdout.startswith("workflows ")
    installed = Path(where.stdout.strip()).parent
    assert all((installed / name).is_file() for name in ("JSON.md", "schemas.json"))
