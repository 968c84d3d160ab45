"""Trains a model in rounds: label the data, train, evaluate, adjust, until the loss is small enough.

A round that made too little progress is doubtful: then the workflow asks a person, and waits for the decision, for days
if need be. The model is a straight line and the numbers are always the same, so that the run can be compared.
"""

import argparse
import asyncio
import contextlib
import json
from dataclasses import dataclass, replace

import workflows

from execution_log import record

GOOD_LOSS = 0.0005
EPOCHS = 25
INPUTS = [0.5 * number for number in range(1, 9)]

# What the person will say when asked, in order.
DECISIONS = [
    {"keep": False, "learning_rate": 0.01},  # "It has gone wild. Throw this round away, and take smaller steps."
    {"keep": True, "learning_rate": 0.1},  # "It crawls. Go on from here with larger steps."
]

Examples = list[tuple[float, float]]


@dataclass(frozen=True)
class Model:
    """y = slope * x + offset, and how fast it learns."""

    slope: float = 0
    offset: float = 0
    learning_rate: float = 0.2

    def loss(self, examples: Examples) -> float:
        return sum(self._error(x, y) ** 2 for x, y in examples) / len(examples)

    def trained(self, examples: Examples) -> "Model":
        model = self
        for _ in range(EPOCHS):
            errors = [(x, model._error(x, y)) for x, y in examples]
            step = 2 * model.learning_rate / len(examples)
            slope = model.slope - step * sum(error * x for x, error in errors)
            model = replace(model, slope=slope, offset=model.offset - step * sum(error for _, error in errors))
        return model

    def _error(self, x: float, y: float) -> float:
        return self.slope * x + self.offset - y


@workflows.workflow
async def train_model(_event: workflows.Event, step: workflows.Step) -> Model:
    @step.do("label the data")
    async def label(ctx: workflows.StepContext) -> Examples:
        record(ctx.step.name)
        return [(x, 3 * x + 2) for x in INPUTS]

    @step.do("train")
    def train(model: Model, ctx: workflows.StepContext) -> Model:
        record(ctx.step.name, ctx.step.count)
        return model.trained(examples)

    @step.do("evaluate")
    def evaluate(model: Model, ctx: workflows.StepContext) -> float:
        record(ctx.step.name, ctx.step.count)
        return model.loss(examples)

    @step.do("adjust")
    async def adjust(before: Model, after: Model, decision: dict[str, float], ctx: workflows.StepContext) -> Model:
        record(ctx.step.name, ctx.step.count)
        return replace(after if decision["keep"] else before, learning_rate=decision["learning_rate"])

    @step.do("ask a person")
    async def ask(question: str, ctx: workflows.StepContext) -> None:
        record(ctx.step.name, ctx.step.count)
        print(question)

    examples = await label()
    model = Model()
    loss = model.loss(examples)
    while loss > GOOD_LOSS:
        candidate = await train(model)
        candidate_loss = await evaluate(candidate)
        if candidate_loss < loss / 2:
            model, loss = candidate, candidate_loss
            continue
        await ask(f"After {loss:.3g} the loss is {candidate_loss:.3g}. Keep this round? With which learning rate?")
        decision = await step.wait_for_event("wait for the decision", "decision", timeout="7 days")
        model = await adjust(model, candidate, decision.payload)
        loss = min(loss, candidate_loss)
    return model


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--id", required=True)
    options = parser.parse_args()
    async with workflows.Engine(options.db, workflows=[train_model]) as engine:
        training = await engine.create(train_model, id=options.id, on_conflict="return")
        # Events may be sent ahead: they are kept, in order, until the workflow asks for them.
        for number, decision in enumerate(DECISIONS):
            with contextlib.suppress(workflows.InstanceFinishedError):
                await training.send_event("decision", decision, event_id=f"decision {number}")
        model = await training.result()
    print(json.dumps({"slope": model.slope, "offset": model.offset}))


if __name__ == "__main__":
    asyncio.run(main())
