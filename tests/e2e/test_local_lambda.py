"""Lambda in the local cloud, through AWS's own APIs: what the gateway and the queues rely on."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.e2e.running import QUICKLY, Create, RunningCloud, archive
from tests.meeting import WAIT_FOR_OTHERS, meeting


def invoke(client: Any, name: str, event: Any = None, **more: Any) -> Any:
    """The parsed answer of a function."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **more)
    return json.loads(answer["Payload"].read())


def log_events(local_cloud: RunningCloud, name: str) -> list[tuple[int, str]]:
    """Each line of a function's log group with its time in milliseconds, as `aws logs tail` reads them."""
    found = local_cloud.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")
    return [(event["timestamp"], event["message"].strip()) for event in found["events"]]


def test_client_context_reaches_the_function(local_cloud: RunningCloud, create: Create) -> None:
    """What a caller sends as client context is in the function's context, and not in the next one's."""
    name = create("def handler(event, context): return context.client_context and context.client_context.custom")
    context = base64.b64encode(b'{"custom": {"tenant": "a"}}').decode()

    with_it = invoke(local_cloud.client("lambda"), name, ClientContext=context)
    without = invoke(local_cloud.client("lambda"), name)

    assert (with_it, without) == ({"tenant": "a"}, None)


@pytest.mark.parametrize(
    ("kind", "limit_bytes"),
    [
        pytest.param("RequestResponse", 6 * 1024 * 1024, id="synchronous"),
        pytest.param("Event", 1024 * 1024, id="asynchronous"),
    ],
)
def test_event_beyond_the_limit_is_refused(
    local_cloud: RunningCloud, create: Create, kind: str, limit_bytes: int
) -> None:
    """A larger event is AWS's error, and no function sees it."""
    name = create("def handler(event, context): return len(event)")

    with pytest.raises(ClientError) as refused:
        invoke(local_cloud.client("lambda"), name, "x" * limit_bytes, InvocationType=kind)

    assert refused.value.response["Error"]["Code"] == "RequestTooLargeException"


def test_simultaneous_invocations_run_in_environments_of_their_own(local_cloud: RunningCloud, create: Create) -> None:
    """Four at once run in four processes."""
    name = create(f"{WAIT_FOR_OTHERS}\ndef handler(event, context): return wait_for_others(event)", Timeout=60)
    client = local_cloud.client("lambda")

    with ThreadPoolExecutor(4) as pool, meeting() as others:
        pids = [pool.submit(invoke, client, name, others.port) for _ in range(4)]
        others.wait_for(4)
        others.let_go()

    assert len({pid.result() for pid in pids}) == 4


def test_reserved_concurrency_throttles(local_cloud: RunningCloud, create: Create) -> None:
    """A function that may run once at a time refuses the second invocation."""
    name = create(f"{WAIT_FOR_OTHERS}\ndef handler(event, context): return wait_for_others(event)", Timeout=60)
    client = local_cloud.session().client("lambda", config=Config(retries={"total_max_attempts": 1}))
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)

    with ThreadPoolExecutor(1) as pool, meeting() as others:
        running = pool.submit(invoke, client, name, others.port)
        others.wait_for(1)
        with pytest.raises(client.exceptions.TooManyRequestsException):
            invoke(client, name, others.port)
        others.let_go()
        running.result()


def test_updates_break_no_invocation(local_cloud: RunningCloud, create: Create) -> None:
    """While a function is updated three times, every invocation is answered, by one version or another."""
    source = "import time\ndef handler(event, context):\n    time.sleep(0.05)\n    return [event, {}]"
    name = create(source.format(0))
    client = local_cloud.client("lambda")

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(invoke, client, name, number) for number in range(60)]
        for version in (1, 2, 3):
            client.update_function_code(FunctionName=name, ZipFile=archive(source.format(version)))
            time.sleep(0.3)
        values = [answer.result() for answer in answers]

    assert [value[0] for value in values] == list(range(60))
    assert invoke(client, name, 60) == [60, 3]


def test_updates_lose_no_asynchronous_invocation(local_cloud: RunningCloud, create: Create) -> None:
    """An event that comes just after an update runs at once, and not after the timeout of the previous consumer."""
    client = local_cloud.client("lambda")
    source = "def handler(event, context): print('RUN', event)"
    name = create(source)

    for number in range(5):
        client.update_function_code(FunctionName=name, ZipFile=archive(f"{source}  # {number}"))
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=QUICKLY)
        client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(number).encode())

    deadline = time.monotonic() + 60
    ran: list[str] = []
    while len(ran) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
        ran = sorted(line.text for line in local_cloud.logs_of(name) if line.text.startswith("RUN"))
    assert ran == [f"RUN {number}" for number in range(5)]


def test_log_is_in_cloudwatch(local_cloud: RunningCloud, create: Create) -> None:
    """A function's lines are found where `aws logs tail` looks."""
    name = create("def handler(event, context): print('a line of its own')")
    invoke(local_cloud.client("lambda"), name)

    messages = [message for _, message in log_events(local_cloud, name)]

    assert "a line of its own" in messages
    assert {message.split(" ")[0] for message in messages} >= {"START", "END", "REPORT"}


def test_log_events_have_their_own_times(local_cloud: RunningCloud, create: Create) -> None:
    """A line's time is when it was written, and not when its invocation ended."""
    name = create("""
        import time
        def handler(event, context):
            print("first", flush=True)
            time.sleep(0.3)
            print("second", flush=True)
    """)
    invoke(local_cloud.client("lambda"), name)

    times_ms = {message: time_ms for time_ms, message in log_events(local_cloud, name)}

    assert times_ms["second"] - times_ms["first"] >= 250


def test_batches_of_a_queue_run_at_once(local_cloud: RunningCloud, create: Create) -> None:
    """As many batches as MaximumConcurrency allows are worked on at a time, and no more."""
    sqs, client = local_cloud.client("sqs"), local_cloud.client("lambda")
    with meeting() as others:
        name = create(f"{WAIT_FOR_OTHERS}\ndef handler(event, context): wait_for_others({others.port})", Timeout=60)
        queue = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for number in range(4):
            sqs.send_message(QueueUrl=queue, MessageBody=str(number))

        mapping = client.create_event_source_mapping(
            EventSourceArn=arn, FunctionName=name, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2}
        )["UUID"]

        others.wait_for(2)
        has_third = others.has_another(within_s=0.5)
        others.let_go()
        others.wait_for(2)
        others.let_go()
    client.delete_event_source_mapping(UUID=mapping)
    sqs.delete_queue(QueueUrl=queue)
    assert not has_third
