"""Import a Flask application and describe it as JSON. Runs in the application's environment, without `decant_cloud`.

python inspection.py '{"folder": …, "target": "flaskr:create_app", "commands": null, "output": …}'
"""

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any

_SETUP_COMMANDS = ("init-db", "init_db", "initdb", "create-db", "create_db")
"""Names of CLI commands that commonly create the tables of a new database."""

_THREAD = "starts a thread"
_EVENTS = {
    "os.mkdir": "creates a folder",
    "sqlite3.connect": "opens SQLite",
    "_thread.start_new_thread": _THREAD,
    "_thread.start_joinable_thread": _THREAD,  # since Python 3.13
}
"""What audit events mean. Source: https://docs.python.org/3.13/library/audit_events.html"""
_EXAMPLES = 40


def main(given: dict[str, Any]) -> None:
    """Write the description of the application, or the error of its import, to the file `output`."""
    folder = Path(given["folder"]).resolve()
    try:
        result = _describe(folder, given["target"], given["commands"], is_sqlite=given["is_sqlite"])
    except BaseException as error:  # noqa: BLE001  # SystemExit of an application too: all are reported
        result = {"error": f"{type(error).__name__}: {error}", "missing": _missing(error)}
        result["traceback"] = "".join(traceback.format_exception(error))
    Path(given["output"]).write_text(json.dumps(result))
    os._exit(0)  # threads of the application would keep the process running


def _describe(folder: Path, target: str, commands: list[str] | None, *, is_sqlite: bool) -> dict[str, Any]:
    sys.path.insert(0, str(folder))
    from flask import Flask  # noqa: PLC0415  # of the application's environment
    from flask.cli import find_app_by_string  # noqa: PLC0415

    instance = tempfile.mkdtemp(prefix="decant-pour-")
    Flask.auto_find_instance_path = lambda self: instance  # type: ignore[method-assign]  # noqa: ARG005
    recorded = _record_events(folder)
    module, _, name = target.partition(":")
    loaded, started = len(sys.modules), time.process_time()
    app = find_app_by_string(import_module(module), name)
    import_s = time.process_time() - started
    events = list(recorded)
    names = [name for name in _SETUP_COMMANDS if name in app.cli.commands][:1] if commands is None else commands
    setup = names if is_sqlite or commands is not None else []
    for command in setup:
        with app.app_context():  # as the command `flask` does
            result = app.test_cli_runner().invoke(args=command.split())
        if result.exit_code:
            raise RuntimeError(f"flask {command} failed: {result.output.strip()}") from result.exception
    examples = dict(_examples(app))
    return {
        "import_s": import_s,
        "modules": len(sys.modules) - loaded,
        "rules": [_rule(app, rule) for rule in app.url_map.iter_rules()],
        "blueprints": list(app.blueprints),
        "hooks": sum(len(each) for table in _hooks(app) for each in table.values()),
        "error_handlers": sum(len(kinds) for codes in app.error_handler_spec.values() for kinds in codes.values()),
        "extensions": sorted(app.extensions),
        "commands": sorted(app.cli.commands),
        "setup": setup,
        "events": events,
        "is_written": any(what != _THREAD for _, _, what in recorded),
        "has_secret_key": bool(app.secret_key),
        "session_interface": type(app.session_interface).__module__,
        "static": [str(path.relative_to(folder)) for path in _static_folders(app) if path.is_relative_to(folder)],
        "templates": app.template_folder is not None,
        "examples": examples,
    }


def _hooks(app: Any) -> list[dict[Any, list[Any]]]:
    return [app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs]


def _static_folders(app: Any) -> Iterator[Path]:
    for each in (app, *app.blueprints.values()):
        if each.static_folder and Path(each.static_folder).is_dir():
            yield Path(each.static_folder)


def _rule(app: Any, rule: Any) -> dict[str, Any]:
    """A URL rule; its path has the variables as API Gateway writes them, and ends where it cannot."""
    path = ""
    for segment in rule.rule.strip("/").split("/"):
        name = next((each for each in rule.arguments if f"<{each}>" in segment or f":{each}>" in segment), None)
        name = name or next((each for each in rule.arguments if each in segment), None) if "<" in segment else None
        if name is not None and not rule._converters[name].part_isolating:  # noqa: SLF001  # no public way
            path += f"/{{{name}+}}"
            break
        path += f"/{{{name}}}" if name else f"/{segment}"
    view = app.view_functions.get(rule.endpoint)
    return {
        "path": path.rstrip("/") or "/",
        "methods": sorted(rule.methods or ()),
        "endpoint": rule.endpoint,
        "blueprint": rule.endpoint.rpartition(".")[0].split(".")[0],
        "module": getattr(view, "__module__", None),
        "websocket": rule.websocket,
    }


def _examples(app: Any) -> Iterator[tuple[str, int]]:
    """Paths without variables that respond without an error, each with its status."""
    paths = [rule.rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and not rule.arguments]
    for path in sorted(set(paths), key=len)[:_EXAMPLES]:
        try:
            status = app.test_client().get(path).status_code
        except Exception:  # noqa: BLE001, S112  # a view without its database
            continue
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            yield path, status


def _record_events(folder: Path) -> list[tuple[str, int, str]]:
    """Record what the application writes and starts from now on, with its file and line."""
    found: list[tuple[str, int, str]] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[1], str) and any(mode in arguments[1] for mode in "wax+")
        if not (is_write or event in _EVENTS):
            return
        target = str(arguments[0]) if isinstance(arguments[0], str | Path) else ""
        frames = [each for each in traceback.extract_stack() if each.filename.startswith(f"{folder}/")]
        if frames and not target.startswith((tempfile.gettempdir(), ":memory:")):
            name = str(Path(frames[-1].filename).relative_to(folder))
            found.append((name, frames[-1].lineno or 1, _EVENTS.get(event, "writes a file")))

    sys.addaudithook(note)
    return found


def _missing(error: BaseException) -> str:
    """Name of the module or of the environment variable whose lack is the error."""
    if isinstance(error, ModuleNotFoundError):
        return f"module {error.name}"
    frames = traceback.extract_tb(error.__traceback__)
    is_variable = isinstance(error, KeyError) and any(
        frame.filename.endswith("os.py") or frame.name == "__getitem__" for frame in frames[-1:]
    )
    return f"variable {error.args[0]}" if is_variable else ""


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
