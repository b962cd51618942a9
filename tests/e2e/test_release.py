"""A release's whole life on the local cloud: deploy, update, a failed migration, back to the version before, delete.

Two functions of the template are enough, as they are: the migration and one that waits for it. Their code is uploaded
and not mounted, so that an update is one. LocalStack's CloudFormation makes aliases and cannot change them: the steps
after the first go without, and the way back by alias is a test of its own.
"""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from decant.db.migrations import heads
from decant_cloud.local.cloud import LAYERS
from decant_cloud.local.deploy import Cloud, deploy, template_url
from decant_cloud.local.errors import LocalCloudError
from decant_cloud.local.mounted_code import with_code
from decant_cloud.release.aliases import ALIAS, record, restore
from decant_cloud.template.model import load_template
from tests.e2e.running import QUICKLY, RunningCloud
from tests.loading import ROOT

KEPT = re.compile(
    r"(Migrate(Once)?|Migration|AsyncResponse|SharedLayer|Api|Access|Logs|DefaultQueue|SlowQueue|DeadLetterQueue)$"
)
"""What of the template is deployed here."""


class Release:
    """The bundle's small half, which can be changed and deployed again.

    Attributes:
        stack: Its stack's name, and its bucket's.
        folder: Its functions' code.
        function: Name of the function behind GET /async, once it is deployed.
    """

    def __init__(self, cloud: RunningCloud, stack: str, folder: Path, database_url: str) -> None:
        self.stack = stack
        self.folder = folder
        self.function = ""
        self._newest = max(path.stem for path in (ROOT / "functions/migrate/versions").glob("0*.py"))
        self._cloud = cloud
        self._database_url = database_url
        for name in ("migrate", "async_response"):
            shutil.copytree(ROOT / "functions" / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        cloud.client("s3").create_bucket(Bucket=self.stack)

    def answers(self, text: str) -> None:
        """Let GET /async answer something else."""
        app = self.folder / "async_response/app.py"
        app.write_text(re.sub(r'return "[^"]*"', f'return "{text}"', app.read_text()))

    def migrates(self, revision: str, statement: str) -> None:
        """Add a migration, and let the template ask for it."""
        (self.folder / f"migrate/versions/{revision}_more.py").write_text(
            f"from alembic import op\nrevision, down_revision = {revision!r}, {self._newest!r}\n"
            f"def upgrade():\n    op.execute({statement!r})\n"
        )
        self._newest = revision

    def deploy(self, name: str, *, with_aliases: bool = False) -> None:
        """Upload the code and deploy it."""
        template = load_template(ROOT / "template.yaml")
        cloud = Cloud(self._cloud.url)
        plain = with_code(
            template, ROOT, LAYERS, place_template=lambda path: template_url(cloud, path.read_text(encoding="utf-8"))
        )
        source = template if with_aliases else plain
        resources = {key: each for key, each in source["Resources"].items() if KEPT.match(key)}
        resources |= {key: plain["Resources"][key] for key in ("SharedLayer", "Access")}
        resources["Migration"]["Properties"]["Schema"] = heads(self.folder / "migrate/versions")
        for key, folder in (("Migrate", "migrate"), ("AsyncResponse", "async_response")):
            resources[key]["Properties"]["CodeUri"] = self.upload(folder, name)
        parameters = {"DatabaseUrl": self._database_url, "Release": name}
        small = {**source, "Resources": resources, "Outputs": {}}
        self.function = deploy(cloud, self.stack, small, parameters).functions["AsyncResponse"]

    def upload(self, folder: str, name: str) -> str:
        """Put a function's code into the bucket; its address."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for path in sorted((self.folder / folder).rglob("*.py")):
                archive.write(path, path.relative_to(self.folder / folder))
        self._cloud.client("s3").put_object(Bucket=self.stack, Key=f"{folder}-{name}", Body=content.getvalue())
        return f"s3://{self.stack}/{folder}-{name}"

    def answer(self, qualifier: str = "$LATEST") -> str:
        """What the function answers."""
        event = json.loads((ROOT / "events/async_response.json").read_text())
        event |= {"queryStringParameters": {"seconds": "0"}, "multiValueQueryStringParameters": {"seconds": ["0"]}}
        answered = self._cloud.client("lambda").invoke(
            FunctionName=self.function, Qualifier=qualifier, Payload=json.dumps(event).encode()
        )
        return str(json.loads(answered["Payload"].read())["body"])

    def status(self) -> str:
        """How the stack stands."""
        found = self._cloud.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        return str(found[0]["StackStatus"])

    def delete(self) -> None:
        """Take the stack away."""
        cloudformation = self._cloud.client("cloudformation")
        cloudformation.delete_stack(StackName=self.stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=self.stack, WaiterConfig=QUICKLY)
        s3 = self._cloud.client("s3")
        for each in s3.list_objects_v2(Bucket=self.stack).get("Contents", []):
            s3.delete_object(Bucket=self.stack, Key=each["Key"])
        s3.delete_bucket(Bucket=self.stack)


@pytest.fixture
def database(local_cloud: RunningCloud) -> Iterator[psycopg.Connection]:
    """A database of this release's own, empty."""
    address = local_cloud.postgres_url.replace("postgresql+asyncpg", "postgresql")
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute("CREATE DATABASE release")
        with psycopg.connect(address.rpartition("/")[0] + "/release", autocommit=True) as connection:
            yield connection
        admin.execute("DROP DATABASE release WITH (FORCE)")


def tables(database: psycopg.Connection) -> set[str]:
    """Names of the tables there are."""
    found = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in found}


@pytest.fixture
def release(
    local_cloud: RunningCloud, database: psycopg.Connection, tmp_path: Path, request: pytest.FixtureRequest
) -> Release:
    """The bundle's half in a stack of this test's own, with a database that is still empty."""
    stack = f"release{abs(hash(request.node.nodeid))}"
    url = f"{local_cloud.postgres_url.rpartition('/')[0]}/{database.info.dbname}"
    return Release(local_cloud, stack, tmp_path, url)


@pytest.mark.long
def test_release_from_its_first_day_to_its_last(database: psycopg.Connection, release: Release) -> None:
    """Each step starts where the one before it has led, as it does in a release's life."""
    release.answers("one")
    release.deploy("one")
    assert "users" in tables(database), "the first deployment migrated before it was done"
    assert release.answer() == "one"

    release.answers("two")
    release.migrates("9001", "CREATE TABLE two ()")
    release.deploy("two")
    assert "two" in tables(database)
    assert release.answer() == "two"

    release.answers("three")
    release.migrates("9002", "DO $$ BEGIN CREATE TABLE three (); PERFORM 1 / 0; END $$")
    with pytest.raises(LocalCloudError, match="division by zero"):
        release.deploy("three")
    assert release.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "three" not in tables(database), "a migration that fails leaves nothing"
    assert release.answer() == "two", "no code was changed: what served before serves on"

    release.delete()
    assert "users" in tables(database), "the data outlives the stack"


def test_release_goes_back_to_the_version_before(local_cloud: RunningCloud, release: Release) -> None:
    """What was written down before a deployment is put back after it: at once, and without another deployment."""
    cloudformation, functions = local_cloud.client("cloudformation"), local_cloud.client("lambda")
    release.answers("one")
    release.deploy("one", with_aliases=True)
    before = record(cloudformation, functions, release.stack)
    release.answers("two")
    bucket, _, key = release.upload("async_response", "two").removeprefix("s3://").partition("/")
    functions.update_function_code(FunctionName=release.function, S3Bucket=bucket, S3Key=key)
    functions.get_waiter("function_updated_v2").wait(FunctionName=release.function, WaiterConfig=QUICKLY)
    published = functions.publish_version(FunctionName=release.function)["Version"]
    functions.update_alias(FunctionName=release.function, Name=ALIAS, FunctionVersion=published)
    assert release.answer(ALIAS) == "two"

    changed = restore(functions, before)

    assert changed == {release.function: "1"}
    assert release.answer(ALIAS) == "one"
    release.delete()


def test_record_of_a_stack_that_is_not_there_is_empty(local_cloud: RunningCloud) -> None:
    """Before the first deployment there is nothing to go back to."""
    assert record(local_cloud.client("cloudformation"), local_cloud.client("lambda"), "nowhere") == {}
