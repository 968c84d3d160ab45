"""Shows what durable means: kills the groceries agent twice, with kill -9, and lets it finish."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import workflows

from grocery_shop import GroceryShop

AGENT = Path(__file__).with_name("groceries.py")
PATIENCE_S = 60


class Demo:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "executed"
        self.database = folder / "groceries.db"
        self.shop = GroceryShop(folder / "shop")
        self.command = [
            sys.executable, str(AGENT), "--db", str(self.database), "--id", "week-47",
            "--shop", str(self.shop.file), "--answer-after", "1", "--delivery", "4 seconds",
        ]  # fmt: skip
        self.told = 0

    def start(self) -> "subprocess.Popen[str]":
        environment = os.environ | {"EXECUTION_LOG": str(self.log)}
        return subprocess.Popen(self.command, env=environment, stdout=subprocess.PIPE, text=True)

    def bodies(self) -> list[str]:
        return [line.rpartition(" #")[0] for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def watch(self, agent: "subprocess.Popen[str]", until: Callable[[], bool]) -> None:
        """Tells which steps run, until the condition holds or the agent has ended."""
        give_up = time.monotonic() + PATIENCE_S
        over = False
        while not over:
            over = until() or agent.poll() is not None
            for body in self.bodies()[self.told :]:
                print(f"     runs: {body}", flush=True)
                self.told += 1
            if time.monotonic() > give_up:
                raise TimeoutError(f"the agent did not get on within {PATIENCE_S} seconds")
            time.sleep(0.02)

    def waits_for_delivery(self) -> bool:
        if not self.accepted("payment"):
            return False
        with workflows.Client(self.database) as client:
            return client.status("Groceries", "week-47").status == "waiting"

    def accepted(self, what: str) -> int:
        return sum(entry["what"] == what for entry in self.shop.accepted())


def kill(agent: "subprocess.Popen[str]") -> None:
    agent.kill()
    agent.communicate()


def tell(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder))
        tell("An agent does the week's groceries. It keeps its progress in one SQLite file.\n")

        tell("1. The agent starts.")
        agent = demo.start()
        demo.watch(agent, lambda: demo.accepted("order") == 1)
        kill(agent)
        tell("   kill -9, at the worst moment: the shop has taken the order, but its answer has not arrived yet.\n")

        tell("2. The agent starts again. It cannot know whether it ordered, so it asks again, with the same key.")
        agent = demo.start()
        demo.watch(agent, demo.waits_for_delivery)
        kill(agent)
        tell("   kill -9, while it waits for the delivery.\n")

        tell("3. The agent starts a third time. It waits for the rest of the time, and is done.")
        agent = demo.start()
        demo.watch(agent, lambda: False)
        output = json.loads(agent.communicate()[0].splitlines()[-1])
        tell(f"     result: {output['order']}, {output['receipt']}, {', '.join(output['items'])}\n")

        tell("How often each step ran:")
        counts = Counter(demo.bodies())
        for body, count in counts.items():
            tell(f"     {count}  {body}")
        tell(f"Orders at the shop: {demo.accepted('order')}. Payments: {demo.accepted('payment')}.")

        ran_once = all(count == 1 for body, count in counts.items() if body != "place the order")
        if not ran_once or demo.accepted("order") != 1 or demo.accepted("payment") != 1:
            tell("\nThat is wrong: something was done twice. Please report it.")
            return 1
        tell("\nThree starts, two kills: no finished step ran again, and one order was placed.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
