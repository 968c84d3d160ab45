# pyright: basic
"""`workflows.Client`: management without an engine."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import workflows

import shapes
from support import PATIENCE_S, opened, until_recorded


@workflows.workflow
async def order(event: workflows.Event, step: workflows.Step) -> Any:
    @step.do(config={"retries": {"limit": 1, "delay": "0 s"}})
    async def charge(ctx: workflows.StepContext) -> Any:
        if ctx.attempt == 1:
            raise shapes.CardDeclinedError(1, card="visa")
        return {"charged": {event.payload["sku"]}}

    charged = await charge()
    paid = await step.wait_for_event("paid", "paid")
    if paid.payload == "fail":
        raise LookupError("not paid")
    return [charged, paid.payload]


def test_without_an_engine_instances_are_created_listed_and_wait(tmp_path: Path) -> None:
    with workflows.Client(tmp_path / "shop.db") as client:
        one = client.create("order", {"sku": "A1"}, id="order-1")
        client.create(order, id="order-2")
        assert (one.id, one.workflow) == ("order-1", "order")
        with pytest.raises(workflows.InstanceExistsError):
            client.create("order", {"sku": "A1"}, id="order-1")
        assert client.create("order", {"sku": "A1"}, id="order-1", on_conflict="return").id == "order-1"
        assert client.exists("order", "order-1")
        assert not client.exists("order", "order-3")
        assert client.status("order", "order-1") == workflows.InstanceStatus(workflows.Status.QUEUED)
        assert [info.id for info in client.list()] == ["order-1", "order-2"]
        assert [info.id for info in client.list("order", "queued", id_prefix="order-2", limit=5)] == ["order-2"]
        assert client.steps("order", "order-1") == []
        with pytest.raises(TimeoutError, match=r"'order-1' of 'order'> was not finished within 0.01"):
            one.result(timeout=0.01)
        with pytest.raises(workflows.InstanceNotFoundError):
            client.get("order", "nobody")
        with pytest.raises(workflows.InstanceNotFoundError):
            client.send_event("order", "nobody", "paid")


async def test_a_client_and_an_engine_share_a_file(tmp_path: Path) -> None:
    with workflows.Client(tmp_path / "shop.db") as client:
        instance = client.create("order", {"sku": "A1"}, id="order-1")
        instance.send_event("paid", "in advance")
        async with opened(tmp_path / "shop.db", order) as engine:
            assert await asyncio.to_thread(instance.result, PATIENCE_S) == [{"charged": {"A1"}}, "in advance"]
            assert client.result("order", "order-1") == await (await engine.get(order, "order-1")).result()
            second = await engine.create(order, {"sku": "B2"}, id="order-2")
            await until_recorded(second, "paid")
            client.send_event("order", "order-2", {"type": "paid", "payload": "fail"})
            with pytest.raises(workflows.WorkflowFailedError, match="LookupError: not paid") as caught:
                await asyncio.to_thread(client.result, "order", "order-2", PATIENCE_S)
            assert isinstance(caught.value.cause, LookupError)
        charge = client.get("order", "order-1").steps()[0]
        assert (charge.name, charge.status, charge.result) == ("charge", "completed", {"charged": {"A1"}})
        assert isinstance(charge.attempts[0].error, shapes.CardDeclinedError)
        assert charge.attempts[0].error.card == "visa"
        assert charge.config == {"retries": {"limit": 1, "delay": 0}}
        failed = client.status("order", "order-2")
        assert (failed.status, type(failed.error)) == (workflows.Status.ERRORED, LookupError)


async def test_who_only_looks_needs_no_classes(tmp_path: Path) -> None:
    @workflows.workflow
    async def hidden(event: workflows.Event, step: workflows.Step) -> Any:
        return shapes.Item("a")

    async with opened(tmp_path / "h.db", hidden) as engine:
        await (await engine.create(hidden, id="h")).result()
    original = shapes.Item
    del shapes.Item
    try:
        with workflows.Client(tmp_path / "h.db") as client:
            assert client.status("hidden", "h").output["$"] == "dataclass"
            with pytest.raises(workflows.SerializationError, match="shapes:Item"):
                client.result("hidden", "h")
    finally:
        setattr(shapes, "Item", original)  # noqa: B010 - a class is not assignable for type checkers


def test_after_close_every_call_says_so(tmp_path: Path) -> None:
    client = workflows.Client(tmp_path / "c.db")
    instance = client.create("order")
    client.close()
    client.close()
    for call in (
        lambda: client.create("order"),
        lambda: client.get("order", "x"),
        lambda: client.exists("order", "x"),
        lambda: list(client.list()),
        instance.status,
        instance.steps,
        lambda: instance.result(0),
        lambda: instance.send_event("paid"),
    ):
        with pytest.raises(workflows.EngineClosedError):
            call()


def test_a_client_may_be_used_from_several_threads(tmp_path: Path) -> None:
    with workflows.Client(tmp_path / "c.db") as client:
        threads = [threading.Thread(target=lambda n=n: client.create("order", id=f"o{n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(info.id for info in client.list()) == [f"o{n}" for n in range(8)]
