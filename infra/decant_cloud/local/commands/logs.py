"""`logs`: log lines of all functions or of one, from a given time on."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.logs import Entry, Renderer
from decant_cloud.local.logs import follow as entries_of
from decant_cloud.local.state import holder
from decant_cloud.local.terminal import json_text, output
from decant_cloud.paths import module_of, root
from decant_cloud.template.model import Template

__all__ = ["as_json", "moment", "run"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def run(*, state: Path, function: str | None, since: str | None, as_objects: bool, follow: bool) -> None:
    """Print the lines of the current or last run, and follow them while the local cloud runs.

    Raises:
        LocalCloudError: the function does not exist, the time is invalid, or there are no logs.
    """
    console, template = output(), Template(root())
    function = template.function(function).logical_id if function else None
    start = moment(since, datetime.now().astimezone()) if since else 0
    files = {name: module_of(each.folder) for name, each in template.functions().items()}
    renderer = Renderer(width=len(function or max(files, key=len)), files=files)
    for entry in _entries(state, follow=follow):
        if entry.time < start or function not in {None, entry.logical_id}:
            continue
        if as_objects:
            console.print(as_json(entry), soft_wrap=True, markup=False, highlight=False)
        elif (text := renderer.render(entry.time, entry.logical_id, entry.line)) is not None:
            console.print(text, soft_wrap=True)


def moment(text: str, now: datetime) -> float:
    """Epoch seconds of a time: `10m` (ago), `14:30` (today), or a date and time.

    Raises:
        LocalCloudError: the text is not a time.
    """
    if ago := re.fullmatch(r"(\d+)([smhd])", text):
        return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
    try:
        if re.match(r"\d\d?:", text):
            text = f"{now.date()}T{text.zfill(len('14:30'))}"
        then = datetime.fromisoformat(text)
    except ValueError as error:
        raise LocalCloudError(f"{text} is not a time; write 90s, 10m, 2h, 14:30 or 2026-11-22T14:30.") from error
    return (then if then.tzinfo else then.replace(tzinfo=now.tzinfo)).timestamp()


def as_json(entry: Entry) -> str:
    """An entry as JSON; a line that is JSON itself is nested and not quoted."""
    try:
        line: Any = json.loads(entry.line)
    except ValueError:
        line = entry.line
    time = datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="milliseconds")
    fields = {"time": time, "function": entry.logical_id, "environment": entry.environment, "request": entry.request}
    return json_text({**fields, "line": line})


def _entries(state: Path, *, follow: bool) -> Iterator[Entry]:
    journal = state / "engine/functions.jsonl"
    if not journal.exists():
        raise LocalCloudError(f"There are no logs in {state}; `make up` starts the local cloud.")
    return entries_of(journal, until=lambda: not follow or holder(state) is None)
