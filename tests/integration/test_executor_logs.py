"""The executor: a function's log, as Lambda writes it."""

import json
import re

from tests.integration.conftest import Bench

PRINTING = """
print("importing")
def handler(event, context):
    print("handling")
"""


def test_cold_invocation_has_every_line_in_order(bench: Bench) -> None:
    """Init, the module's output, START, the handler's output, END and REPORT with init and memory."""
    environment = bench.start(PRINTING)

    answer = bench.invoke(environment)

    start, end, report = answer.lines[2], answer.lines[4], answer.lines[5]
    assert answer.lines[0].startswith("INIT_START Runtime Version: python:3.13")
    assert (answer.lines[1], answer.lines[3]) == ("importing", "handling")
    assert start == f"START RequestId: {answer.request_id} Version: $LATEST"
    assert end == f"END RequestId: {answer.request_id}"
    assert re.fullmatch(
        rf"REPORT RequestId: {answer.request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms",
        report,
    )


def test_warm_invocation_has_its_own_lines_alone(bench: Bench) -> None:
    """The second invocation's log holds nothing of the first one's, and no init."""
    environment = bench.start(PRINTING)
    bench.invoke(environment)

    answer = bench.invoke(environment)

    assert [line.split(" ")[0] for line in answer.lines] == ["START", "handling", "END", "REPORT"]
    assert "Init Duration" not in answer.lines[-1]


def test_init_is_billed(bench: Bench) -> None:
    """The billed duration of a cold invocation covers its init."""
    environment = bench.start("import time; time.sleep(0.2)\ndef handler(event, context): pass")

    report = bench.invoke(environment).lines[-1]

    billed = re.search(r"Billed Duration: (\d+) ms", report)
    assert billed is not None
    assert int(billed[1]) >= 200


def test_timeout_is_logged(bench: Bench) -> None:
    """What the function printed stays, then comes the timeout and the status."""
    environment = bench.start("import time\ndef handler(event, context): print('begun'); time.sleep(60)", timeout_s=1)

    answer = bench.invoke(environment)

    assert "begun" in answer.lines
    assert any(line.endswith(f"{answer.request_id} Task timed out after 1.00 seconds") for line in answer.lines)
    assert answer.lines[-1].endswith("\tStatus: timeout")


def test_crash_is_logged(bench: Bench) -> None:
    """The cause, the type and the status of a crash stand in the log."""
    environment = bench.start("import os\ndef handler(event, context): os._exit(1)")

    answer = bench.invoke(environment)

    cause = f"RequestId: {answer.request_id} Error: Runtime exited with error: exit status 1"
    assert answer.lines[-4:-2] == [cause, "Runtime.ExitError"]
    assert answer.lines[-1].endswith("\tStatus: error\tError Type: Runtime.ExitError")


def test_much_output_is_whole(bench: Bench) -> None:
    """More than a pipe holds neither blocks the function nor loses a line."""
    environment = bench.start("""
        def handler(event, context):
            for number in range(20000):
                print(f"line {number}")
    """)

    lines = bench.invoke(environment).lines

    assert [line for line in lines if line.startswith("line ")] == [f"line {number}" for number in range(20000)]


def test_journal_holds_the_same_lines(bench: Bench) -> None:
    """A reader that follows the journal gets every line, with function, environment and request."""
    environment = bench.start(PRINTING)
    answer = bench.invoke(environment)

    entries = [json.loads(line) for line in (bench.folder / "journal.jsonl").read_text().splitlines()]

    assert [entry["line"] for entry in entries] == answer.lines
    assert {entry["function"] for entry in entries} == {"bench"}
    assert [entry["request"] for entry in entries] == ["", "", *[answer.request_id] * 4]
