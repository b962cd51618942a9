"""The agent of docs/workflows.md, with a model for tests that counts its calls: `python -m tests.agent` kills it."""

from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.wrapper import WrapperModel

from decant.workflows import step, wait_for, workflow
from tests.flow_kills import Subject, main
from tests.mortal_flow import plain


async def respond(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    """Call the tool, then return its result as the answer; every call is an effect that the test counts."""
    await plain(f"model {len(messages) // 2 + 1}")
    last = messages[-1].parts[-1]
    if last.part_kind == "tool-return":
        return ModelResponse([TextPart(f"{last.content} Anything else?")])
    return ModelResponse([ToolCallPart("refund_order", {"order": 7}, tool_call_id="call-1")])


async def refund(order: int) -> str:
    """Refund an order, as an effect that the test counts."""
    await plain("refund")
    return f"Order {order} is refunded."


MODEL = FunctionModel(respond)

# ruff: noqa: D101, D102, D103  # the example, as the page shows it


RESPONSE = TypeAdapter(ModelResponse)


class StepModel(WrapperModel):
    async def request(self, *args: Any) -> ModelResponse:
        async def model() -> Any:
            return RESPONSE.dump_python(await self.wrapped.request(*args), mode="json")

        return RESPONSE.validate_python(await step(model))


agent = Agent(StepModel(MODEL))


@agent.tool_plain
async def refund_order(order: int) -> str:
    await wait_for(f"approved-{order}", timeout=timedelta(days=7))
    return await step(refund, order, name=f"refund-{order}")


@workflow
async def support(question: str = "Where is my chair?") -> str:
    return (await agent.run(question)).output


SUBJECT = Subject(
    workflow=support,
    result="Order 7 is refunded. Anything else?",
    effects=("model 1", "refund", "model 2"),
    signal="approved-7",
    signal_after="model",
    pause_s=60,
)

if __name__ == "__main__":
    raise SystemExit(main(SUBJECT))
