"""The executor: what a function finds around it, and what it does not."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from decant_cloud.lambda_runtime.isolation import TMP, is_possible
from decant_cloud.local.warden import Warden
from tests.integration.conftest import Bench
from tests.loading import ROOT

READ_ONLY = pytest.mark.skipif(not is_possible(), reason="mount namespaces need Linux and the permission to make them")


def test_environment_variables_are_lambdas(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function sees what Lambda sets and its own variables, and none of the executor's."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    environment = bench.start(
        "import os\ndef handler(event, context): return dict(os.environ)", variables={"STAGE": "local", "TZ": ":UTC"}
    )

    variables = bench.invoke(environment).value

    assert variables["STAGE"] == "local"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert variables["LAMBDA_TASK_ROOT"] == str(bench.task)
    assert "SECRET_OF_THE_HOST" not in variables
    assert not {name for name in variables if name.startswith(("PYTEST", "LOCALSTACK", "DECANT", "VIRTUAL"))}


def test_search_path_is_in_awss_order(bench: Bench) -> None:
    """The task goes first, then the layers' site-packages and folders with the last layer before, then the image."""
    layers = [bench.folder / "first", bench.folder / "second"]
    environment = bench.start("import sys\ndef handler(event, context): return sys.path", layers=layers)

    path = bench.invoke(environment).value

    inner = "python/lib/python3.13/site-packages"
    assert path[:5] == [
        str(bench.task),
        str(bench.folder / "second" / inner),
        str(bench.folder / "first" / inner),
        str(bench.folder / "second/python"),
        str(bench.folder / "first/python"),
    ]
    assert path[5].endswith("lambda-image/lib/python3.13/site-packages")


def test_later_layer_wins(bench: Bench) -> None:
    """Of two layers that hold a module of one name, the last in the template's order is imported."""
    bench.write("origin = 'first'", "first/python/shared_thing.py")
    bench.write("origin = 'second'", "second/python/shared_thing.py")

    environment = bench.start(
        "import shared_thing\ndef handler(event, context): return shared_thing.origin",
        layers=[bench.folder / "first", bench.folder / "second"],
    )

    assert bench.invoke(environment).value == "second"


def test_only_the_images_packages_are_there(bench: Bench) -> None:
    """boto3 can be imported, as at AWS; what our own tools need cannot."""
    environment = bench.start("""
        import importlib.util
        def handler(event, context):
            return [importlib.util.find_spec(name) is not None for name in ("boto3", "flask", "localstack", "infra")]
    """)

    assert bench.invoke(environment).value == [True, False, False, False]


def test_temporary_folder_is_the_environments_own(bench: Bench) -> None:
    """Two environments do not see each other's temporary files; they stay from one invocation to the next."""
    source = """
        import os, tempfile
        def handler(event, context):
            seen = os.listdir(tempfile.gettempdir())
            open(os.path.join(tempfile.gettempdir(), event), "w").close()
            return seen
    """
    one, other = bench.start(source), bench.start()
    bench.invoke(one, "a")
    bench.invoke(other, "b")

    assert bench.invoke(one, "c").value == ["a"]


def test_temporary_files_survive_a_reset(bench: Bench) -> None:
    """A crash does not clear them, as at AWS."""
    environment = bench.start("""
        import os, tempfile
        path = os.path.join(tempfile.gettempdir(), "kept")
        def handler(event, context):
            if event:
                open(path, "w").close()
                os._exit(1)
            return os.path.exists(path)
    """)
    bench.invoke(environment, event=True)

    assert bench.invoke(environment, event=False).value is True


def test_temporary_folder_goes_with_the_environment(bench: Bench) -> None:
    """A stopped environment leaves no folder."""
    environment = bench.start("import tempfile\ndef handler(event, context): return tempfile.gettempdir()")
    folder = Path(bench.invoke(environment).value)
    assert folder.is_dir()

    environment.stop(drain_s=0)

    assert not folder.exists()


@READ_ONLY
def test_code_cannot_be_written(bench: Bench) -> None:
    """Neither by its path nor from the working directory."""
    environment = bench.start("""
        def handler(event, context):
            try:
                open(event, "w")
            except OSError as error:
                return error.strerror
    """)

    paths = [str(bench.task / "app.py"), "new.txt"]

    assert [bench.invoke(environment, path).value for path in paths] == ["Read-only file system"] * 2


@READ_ONLY
def test_layer_cannot_be_written(bench: Bench) -> None:
    """Nor can what it links to."""
    layer = bench.folder / "layer"
    installed = bench.write("", "layer/python/installed/__init__.py")
    linked = bench.write("", "source/linked/__init__.py")
    (layer / "python/linked").symlink_to(linked.parent)
    environment = bench.start(
        """
        def handler(event, context):
            try:
                open(event, "a")
            except OSError as error:
                return error.strerror
        """,
        layers=[layer],
    )

    answers = [bench.invoke(environment, str(path)).value for path in (installed, layer / "python/linked/__init__.py")]

    assert answers == ["Read-only file system"] * 2


@pytest.mark.skipif(
    ROOT.is_relative_to(TMP),
    reason="an environment with its own /tmp cannot read this checkout",
)
@READ_ONLY
def test_path_tmp_is_the_environments_own(warden: Warden) -> None:
    """What one environment writes to /tmp, neither another one nor the host sees there."""
    source = """
        import os
        def handler(event, context):
            seen = os.listdir("/tmp")
            open("/tmp/" + event, "w").close()
            return [seen, os.environ.get("TMPDIR")]
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        bench = Bench(Path(folder), warden)
        one, other = bench.start(source), bench.start()
        name = f"decant-{uuid4()}"

        answers = [bench.invoke(each, name).value for each in (one, one, other)]

        for each in bench.started:
            each.stop(drain_s=0)
    assert answers == [[[], None], [[name], None], [[], None]]
    assert not (TMP / name).exists()


def test_working_directory_is_the_task(bench: Bench) -> None:
    """Relative paths start at the function's own code."""
    environment = bench.start("import os\ndef handler(event, context): return os.getcwd()")

    assert bench.invoke(environment).value == str(bench.task)


def test_no_file_of_ours_is_inherited(bench: Bench) -> None:
    """A function starts with standard input, output and error, and its own connection."""
    with (bench.folder / "open").open("w") as opened:
        environment = bench.start("""
            import os
            def handler(event, context):
                return [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]
        """)
        names = bench.invoke(environment).value

    assert str(Path(opened.name)) not in names
    assert not [name for name in names if "scratch" in name or "journal" in name]


def test_no_socket_of_ours_is_inherited(bench: Bench) -> None:
    """A function holds none of our ports and connections: it has sockets of its runtime client alone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = bench.start("""
            import os
            def handler(event, context):
                return [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")[:-1]]
        """)
        names = bench.invoke(environment).value
        held = {f"socket:[{file.stat().st_ino}]" for file in Path("/proc/self/fd").glob("*") if file.is_socket()}
        listening = f"socket:[{os.fstat(listener.fileno()).st_ino}]"

    assert listening in held
    assert not held & set(names)


MOUNTED = """
import subprocess, sys
from pathlib import Path
from decant_cloud.lambda_runtime.isolation import isolated

folder = Path(sys.argv[1])
(folder / "temporary").mkdir()
command, _variables = isolated(
    ["/bin/sh", "-c", "touch written 2>/dev/null; cat inner/file; echo ran"],
    task=folder,
    needed=[folder],
    temporary=folder / "temporary",
)
subprocess.run(command, cwd=folder, check=True)
print((folder / "written").exists())
"""
"""Runs a command isolated in a folder, and prints whether it could write there."""


@READ_ONLY
@pytest.mark.parametrize(
    ("options", "is_written"),
    [
        pytest.param("rw", False, id="mount"),
        pytest.param("nosuid,nodev", False, id="mount with flags that stay"),
        pytest.param("noexec", True, id="mount that cannot be made read-only: without isolation"),
    ],
)
def test_function_starts_in_a_tree_with_mounts(tmp_path: Path, options: str, is_written: bool) -> None:  # noqa: FBT001
    """A folder that is a mount and contains another, such as a volume of a devcontainer, can hold the bundle."""
    mounts = f"""
        mount -t tmpfs -o {options} none {tmp_path} && mkdir {tmp_path}/inner &&
        mount -t tmpfs none {tmp_path}/inner && echo content > {tmp_path}/inner/file &&
        exec {sys.executable} -c "$0" {tmp_path}
    """

    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "/bin/sh", "-c", mounts, MOUNTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == ["content", "ran", str(is_written)], done.stderr
