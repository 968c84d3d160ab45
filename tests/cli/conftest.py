from pathlib import Path

import pytest

from cli_support import NATIVE, PYTHON, Cli
from histories import complete_order, failed_order, imported, paused_order


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A database to look at."""
    return imported(tmp_path_factory.mktemp("shop"), complete_order(), failed_order(), paused_order())


@pytest.fixture
def own_shop(tmp_path: Path) -> Cli:
    """A database to change."""
    return imported(tmp_path, complete_order(), failed_order(), paused_order())


@pytest.fixture(params=["native", "python"])
def door(request: pytest.FixtureRequest) -> list[str]:
    return NATIVE if request.param == "native" else PYTHON
