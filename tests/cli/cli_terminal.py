"""A program on a real terminal."""

import contextlib
import os
import pty
import select
import struct
import subprocess
import termios
import time
from dataclasses import replace
from fcntl import ioctl
from types import TracebackType

from cli_support import Cli

PATIENCE_S = 30


class Terminal:
    """A program on a terminal of so many columns."""

    def __init__(self, cli: Cli, *arguments: str, columns: int = 80, **environment: str):
        self._side, other = pty.openpty()
        ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            # `setsid -c` makes the terminal the one that Ctrl-C comes from.
            ["setsid", "-c", *cli.door, *arguments], stdin=other, stdout=other, stderr=other, cwd=cli.folder,
            env=replace(cli, columns=None).environment(**{"TERM": "xterm", **environment}),
        )  # fmt: skip
        os.close(other)
        self.seen = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._side)

    def until(self, text: str) -> str:
        """What is shown up to this text, which has to come."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            assert self._read(), self.seen
        before, _, self.seen = self.seen.partition(text)
        return before

    def rest(self) -> str:
        while self._read():
            pass
        self.process.wait(PATIENCE_S)
        return self.seen

    def type(self, keys: str) -> None:
        os.write(self._side, keys.encode())

    def _read(self) -> bool:
        if not select.select([self._side], [], [], PATIENCE_S)[0]:
            return False
        with contextlib.suppress(OSError):  # the program has closed the other side
            data = os.read(self._side, 65536)
            self.seen += data.decode()
            return bool(data)
        return False
