"""Screenshots of the console for the documentation, on a database with tasks of a shop."""

import base64
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from decant import db, loop
from decant.console.app import console_app
from decant.runtime import Runtime
from decant.tasks.ids import uuid7
from decant_cloud.bundle import bundle
from decant_cloud.local import tokens
from decant_cloud.local.postgres import temporary_postgres
from tests.bridging import serve_in_thread
from tests.e2e.browser import Page, open_page, open_view, shows
from tests.sample.database import migrate

__all__ = ["draw"]

_ID = """
    CAST(
        lpad(to_hex(CAST(extract(epoch FROM at) * 1000 AS bigint)), 12, '0') || '7000a' || lpad(to_hex(n), 15, '0')
        AS uuid
    )
"""
_TRACEBACK = """Traceback (most recent call last):
  File "/opt/python/decant/worker/execution.py", line 189, in _call
    return self._succeeded(run, await self._task.function(*args, **kwargs))
  File "/opt/python/shop/tasks.py", line 41, in charge
    receipt = await gateway.charge(order.card, order.cents)
  File "/opt/python/shop/gateway.py", line 18, in charge
    response = await http.client().post(self.url, json=payload)
  File "/var/lang/lib/python3.13/site-packages/httpx/_client.py", line 1859, in post
    return await self.request("POST", url, json=json)
httpx.ReadTimeout: the payment provider did not respond within 10 s
"""
_ROOT, _CHARGE = UUID("01a21edf-736a-7f8c-b475-0b07ca027812"), uuid7()

_STATEMENTS = (
    # a day of finished tasks, which are more in its second half
    f"""
    INSERT INTO decant.task (
        id, name, queue, args, kwargs, state, attempt, wake_at, eta, date_created, date_started, date_done
    )
    SELECT {_ID}, 'shop.tasks.' || (ARRAY['mail', 'charge', 'thumbnail', 'report'])[1 + n % 4],
        (ARRAY['mail', 'default', 'media', 'reports'])[1 + n % 4], '[]', '{{}}', 'SUCCESS', 1, NULL, at, at,
        at + make_interval(secs => 0.02 + power(sin(n), 8) * 0.9),
        at + make_interval(secs => 0.02 + power(sin(n), 8) * 0.9 + 0.2 + abs(cos(n * 7)) + power(sin(n * 3), 20) * 5)
    FROM (
        SELECT n, now() - make_interval(secs => 86000 * (1 - power(CAST(n AS float8) / 2300, 0.7))) AS at
        FROM generate_series(1, 2300) AS n
    ) AS rows
    """,  # noqa: S608  # our own constants
    # a queue without a worker, tasks that run, and tasks of a later time
    f"""
    INSERT INTO decant.task (
        id, name, queue, args, kwargs, state, attempt, eta, wake_at, date_created, date_started, lease_expires_at
    )
    SELECT {_ID}, CASE WHEN n <= 140 THEN 'shop.tasks.mail' ELSE 'shop.tasks.thumbnail' END,
        CASE WHEN n <= 140 THEN 'mail' ELSE 'media' END, '[]', '{{}}',
        CASE WHEN n BETWEEN 141 AND 144 THEN 'STARTED' ELSE 'PENDING' END,
        CASE WHEN n BETWEEN 141 AND 144 THEN 1 ELSE 0 END,
        CASE WHEN n > 144 THEN at + interval '2 hours' ELSE at END,
        CASE WHEN n > 144 THEN at + interval '2 hours' WHEN n <= 140 THEN at END, at,
        CASE WHEN n BETWEEN 141 AND 144 THEN now() - make_interval(secs => (n - 138) * 3) END,
        CASE WHEN n BETWEEN 141 AND 144 THEN now() + make_interval(secs => 20 + n - 140) END
    FROM (SELECT n, now() - make_interval(secs => 760 - 5 * n) AS at FROM generate_series(1, 147) AS n) AS rows
    """,  # noqa: S608  # our own constants
    # failures, of which one has all its attempts
    f"""
    INSERT INTO decant.task (
        id, name, queue, args, kwargs, state, attempt, retries, max_retries, wake_at, eta, date_created, date_started,
        date_done, error_type, error, traceback, attempts, correlation_id
    )
    SELECT CASE n WHEN 1 THEN CAST(:charge AS uuid) ELSE {_ID} END, 'shop.tasks.charge', 'default', '[]',
        '{{"order": 4711, "card_token": "tok_1a"}}', 'FAILURE', 4, 3, 3, NULL, at, at - interval '70 s', at,
        at + interval '10 s', 'ReadTimeout', 'the payment provider did not respond within 10 s', :traceback,
        (
            SELECT jsonb_agg(jsonb_build_object(
                'attempt', k, 'date_started', at - make_interval(secs => 70 - 20 * (k - 1)),
                'date_done', at - make_interval(secs => 60 - 20 * (k - 1)), 'error_type', 'ReadTimeout',
                'error', 'the payment provider did not respond within 10 s'
            )) FROM generate_series(1, 3) AS k
        ), 'e8f08bae-e378-45a6-84f8-736865fb8006'
    FROM (SELECT n, now() - make_interval(secs => 60 * n) AS at FROM generate_series(1, 9) AS n) AS rows
    """,  # noqa: S608  # our own constants
    # a chord of a thousand tasks between two others
    f"""
    INSERT INTO decant.task (
        id, name, queue, args, kwargs, state, attempt, eta, date_created, root_id, wake_at, date_started,
        lease_expires_at, date_done, parents, waits_for
    )
    WITH parts AS (
        SELECT n, at, {_ID} AS id, CASE
            WHEN n < 5400 THEN 'SUCCESS' WHEN n > 5761 THEN 'PENDING' WHEN n IN (5417, 5634) THEN 'FAILURE'
            WHEN n * 37 % 11 < 2 THEN 'STARTED' WHEN n * 53 % 23 = 0 THEN 'PENDING' ELSE 'SUCCESS'
        END AS state
        FROM (SELECT n, now() - interval '25 hours' AS at FROM generate_series(5000, 6001) AS n) AS rows
    )
    SELECT id,
        'shop.tasks.' || CASE n WHEN 5000 THEN 'list_orders' WHEN 6001 THEN 'write_report' ELSE 'summarize_order' END,
        'reports', '[]', '{{}}', state, 1, now(), at, CAST(:root AS uuid),
        CASE WHEN state = 'PENDING' AND n < 6001 THEN now() END,
        CASE state WHEN 'STARTED' THEN now() - interval '3 s' END,
        CASE state WHEN 'STARTED' THEN now() + interval '50 s' END,
        CASE WHEN state IN ('SUCCESS', 'FAILURE') THEN at + interval '4 s' END,
        CASE n WHEN 5000 THEN NULL
            WHEN 6001 THEN ARRAY(SELECT id FROM parts AS part WHERE part.n BETWEEN 5001 AND 6000)
            ELSE ARRAY(SELECT id FROM parts AS part WHERE part.n = 5000) END,
        CASE n WHEN 6001 THEN 1000 ELSE 0 END
    FROM parts
    """,  # noqa: S608  # our own constants
    """
    INSERT INTO decant.schedule (name, ticked_at) VALUES
        ('shop.tasks.sync_stock every(300)', now() - interval '70 s'),
        ('shop.tasks.close_day cron(''0 3 * * *'', ''Europe/Berlin'')', now() - interval '9 hours')
    """,
    """
    INSERT INTO decant.worker (id, name, is_function, queues, concurrency, running, started_at, seen_at)
    SELECT gen_random_uuid(), 'shop-prod-TaskWorker', true, NULL, 10, 0, now() - interval '3 hours',
        now() - make_interval(secs => n * 16)
    FROM generate_series(1, 6) AS n
    UNION ALL SELECT gen_random_uuid(), 'media-1:41', false, ARRAY['media'], 4, 4, now() - interval '2 days',
        now() - interval '7 s'
    """,
    "INSERT INTO decant.sweeper (swept_at) VALUES (now() - interval '21 s') ON CONFLICT DO NOTHING",
    "ANALYZE decant.task",
)


def draw(folder: Path) -> None:
    """Write the screenshots of the overview, a task and a workflow, and of the overview on a phone."""
    with _served() as (url, browser), open_page(url, browser) as page:
        shows(page, "Queues")
        page.call("Emulation.setScrollbarsHidden", hidden=True)
        for name, (width, height), scheme, view, parameters in (
            ("overview", (1280, 1480), "light", "overview", {"span": "24h"}),
            ("phone", (390, 844), "dark", "overview", {"span": "24h"}),
            ("task", (1280, 1200), "dark", "task", {"id": str(_CHARGE)}),
            ("workflow", (1280, 660), "dark", "workflow", {"id": str(_ROOT)}),
        ):
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"}
            page.call("Emulation.setDeviceMetricsOverride", **size)
            page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            open_view(page, view, **parameters)
            _write(page, folder / f"console-{name}.png")


def _write(page: Page, path: Path) -> None:
    path.write_bytes(base64.b64decode(page.call("Page.captureScreenshot")["data"]))


@contextmanager
def _served() -> Iterator[tuple[str, Path]]:
    """The console on a database with the shop's tasks; yields its address, and a folder for a browser."""
    with tempfile.TemporaryDirectory(prefix="decant-pictures-") as folder, temporary_postgres() as postgres:
        keys = Path(folder)
        environment = {
            "LOG_LEVEL": "WARNING",
            "DATABASE_URL": postgres.url(),
            "JWT_ISSUER": tokens.ISSUER,
            "JWT_AUDIENCE": bundle().name,
            "JWT_PUBLIC_PEM": tokens.public_key(keys),
        }
        with Runtime({**os.environ, **environment}).active() as own:
            migrate()
            loop.run(_fill())
            with serve_in_thread(console_app(read="tasks:read", admin="tasks:admin")) as address:
                yield f"{address}/console#token={tokens.mint(keys, 'tasks:admin')}", keys / "browser"
            own.shut_down()


async def _fill() -> None:
    given = {"charge": _CHARGE, "root": _ROOT, "traceback": _TRACEBACK}
    async with db.session() as session:
        for statement in _STATEMENTS:
            wanted = {name: value for name, value in given.items() if f":{name}" in statement}
            await session.execute(text(statement), wanted)
