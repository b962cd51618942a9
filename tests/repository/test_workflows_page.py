"""The code of docs/workflows.md is the code of the demo and of tests."""

import re
from textwrap import dedent

from tests.loading import ROOT

SOURCES = (
    "shared/domain/orders.py",
    "tests/agent.py",
    "tests/examples.py",
    "tests/functions/test_orders.py",
    "tests/unit/test_workflows_price.py",
)


def compact(code: str) -> str:
    """The code without docstrings and empty lines."""
    code = re.sub(r'^ +""".*?"""\n', "", code, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in dedent(code).splitlines() if line.strip())


def test_code_of_the_page_is_executed() -> None:
    """Each definition is in a file that a test executes; the example of an agent has at most 20 lines."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/workflows.md").read_text(), re.MULTILINE | re.DOTALL)
    sources = [compact((ROOT / name).read_text()) for name in SOURCES]

    parts = [part for block in blocks for part in block.split("\n\n\n")]
    unknown = [part for part in parts if not any(compact(part) in dedented(source) for source in sources)]

    (agent,) = (block for block in blocks if "Agent(" in block)
    assert unknown == []
    assert len(compact(agent).splitlines()) <= 20


def dedented(source: str) -> str:
    """The source in all indentations of a block."""
    return "\n".join([source, re.sub(r"^    ", "", source, flags=re.MULTILINE)])
