"""The client that `make client` generates, against the local cloud."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from decant_cloud.local import tokens
from tests.e2e.running import RunningCloud
from tests.loading import ROOT

SCRIPT = """
import sys

sys.path.insert(0, sys.argv[1])
from decant_client import AuthenticatedClient
from decant_client.api.users import users_create, users_delete, users_get, users_list, users_update
from decant_client.models import NewUser, Problem, ShownUser, UserChanges

url, token, email = sys.argv[2:]
with AuthenticatedClient(base_url=url, token=token, timeout=60) as client:
    user = users_create.sync(client=client, body=NewUser("Ada Lovelace", email))
    assert isinstance(user, ShownUser), user
    assert users_list.sync(client=client, email=email) == [user]
    read = users_get.sync_detailed(user.id, client=client)
    assert read.parsed == user
    changes = UserChanges(name="Ada King")
    old = users_update.sync_detailed(user.id, client=client, body=changes, if_match='"old"')
    assert (old.status_code, type(old.parsed)) == (412, Problem), old
    new = users_update.sync_detailed(user.id, client=client, body=changes, if_match=read.headers["ETag"])
    assert (new.parsed.name, new.parsed.email) == ("Ada King", email), new
    deleted = users_delete.sync_detailed(user.id, client=client, if_match=new.headers["ETag"])
    assert deleted.status_code == 204, deleted
    assert isinstance(users_get.sync(user.id, client=client), Problem)
print("done")
"""


def test_generated_client_calls_the_api(local_cloud: RunningCloud, tmp_path: Path) -> None:
    """It creates, lists, changes and deletes a user, with types for bodies, responses and problems."""
    decant = Path(sys.executable).parent / "decant"
    token = tokens.mint(local_cloud.folder.parent, "users:read users:write")

    made = subprocess.run([decant, "client", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    python = ROOT / ".decant/client/bin/python"
    arguments = [str(tmp_path), local_cloud.api_url, token, f"{uuid4().hex}@example.com"]
    used = subprocess.run([python, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=200, check=False)

    assert (made.returncode, "Warning" in made.stdout) == (0, False), made.stdout + made.stderr
    assert used.stdout == "done\n", used.stdout + used.stderr
    models = {path.stem for path in (tmp_path / "decant_client/models").glob("*.py")}
    assert {"new_user", "user_changes", "shown_user", "problem"} <= models
    assert "filter_" not in json.dumps(sorted(models))
