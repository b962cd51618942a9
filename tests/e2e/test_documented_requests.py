"""The requests that the README shows, sent to the local cloud by a shell."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx

from tests.documented import shown_requests
from tests.e2e.running import RunningCloud
from tests.loading import ROOT

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_requests_of_the_readme_get_the_responses_that_it_shows(local_cloud: RunningCloud, tmp_path: Path) -> None:
    """In the README's order, each response has the members of the one shown; ids, times and addresses differ."""
    (tmp_path / "tokens.pem").symlink_to(local_cloud.folder.parent / "tokens.pem")
    token = f"{shlex.quote(sys.executable)} -m decant_cloud token --state {tmp_path}"
    other = {"name": "Grace Hopper", "email": f"grace-{uuid4().hex}@example.com"}
    httpx.post(f"{local_cloud.api_url}/users", json=other, timeout=60).raise_for_status()  # for a second page
    setup, ids = f"URL={local_cloud.api_url}\n", dict[str, str]()

    for command, shown in shown_requests(ROOT / "README.md"):
        line = command.replace("ada@example.com", f"ada-{uuid4().hex}@example.com")
        line = re.sub(r"make -s token(?: ARGS='([^']*)')?", rf"{token} \1", line)
        for example, made in ids.items():
            line = line.replace(example, made)
        if re.match(r"[A-Z]+=", line):
            setup += f"{line}\n"
            continue
        script = f"{setup}{line} --max-time 60" if line.startswith("curl -N") else f"{setup}{line}"
        done = subprocess.run(
            ["bash", "-euc", script], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False
        )

        assert done.returncode == 0, (command, done.stderr)
        assert not shown or _outline(done.stdout) == _outline(shown), command
        ids |= dict(zip(_ID.findall(shown), _ID.findall(done.stdout), strict=False))


def _outline(text: str) -> object:
    """Members of a JSON response; of another one its first words."""
    try:
        document = json.loads(text)
    except ValueError:
        return re.split(r"[=?{]", text.strip(), maxsplit=1)[0]
    return sorted(document) if isinstance(document, dict) else [sorted(each) for each in document]
