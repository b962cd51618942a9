"""The command `decant pour`: plan, print, and write into a copy of the bundle, which replaces it when all succeeded."""

import filecmp
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from decant_cloud import paths
from decant_cloud.errors import CommandError
from decant_cloud.findings import Finding, Kind, printed, scan
from decant_cloud.openapi.command import write_document
from decant_cloud.pour import write
from decant_cloud.pour.environment import Description, Environment, given_settings
from decant_cloud.pour.routes import routes_of
from decant_cloud.pour.source_findings import DATABASE_VARIABLES, SQLITE, STATE, findings, variables
from decant_cloud.pour.target import Application, Settings, find_application
from decant_cloud.scaffold.bundle import new_bundle, wheels_in
from decant_cloud.scaffold.commands import default_wheels
from decant_cloud.scaffold.functions import remove_function
from decant_cloud.template.model import Template

__all__ = ["run"]

_NOT_DEPLOYED = {"docs", "examples", "migrations", "scripts", "test", "tests"}
_IMPORT_BUDGET_S = 2.0
_MAX_STATIC_BYTES = 4_500_000
_IGNORED = shutil.ignore_patterns(".venv", ".decant", ".git", ".aws-sam", "__pycache__", ".*_cache", "dist", "client")
_SET_BY_OTHERS = {"AWS_REGION", "FLASK_APP", "FLASK_DEBUG", "FLASK_ENV", "HOME", "PATH", "PORT", "TMPDIR"}

_SCHEMES = {
    "sqlalchemy": "postgresql+psycopg",
    "flask_sqlalchemy": "postgresql+psycopg",
    "psycopg": "postgresql",
    "psycopg2": "postgresql",
    "peewee": "postgresql",
    "pony": "postgresql",
}
"""Scheme of the address that a package needs; `postgresql` stands for the driver that it finds itself."""

_THREAD = (
    "The import starts a thread, which does not run between requests. Use a `@task`, with `schedule=` if it repeats."
)
_COPY = "The function has a copy of the folder in /tmp, which is lost with its execution environment; keep files in S3."

type Report = list[tuple[str, Finding]]


class _NothingToWrite(Exception):
    """The plan was printed, and `--dry-run` is set."""


def run(  # noqa: PLR0913  # the options of the command
    *,
    target: str,
    into: Path | None,
    split: str,
    name: str | None,
    python: Path | None,
    requirements: Path | None,
    setup: Sequence[str],
    wheels: Path | None,
    dry_run: bool,
) -> None:
    """Print the plan with its findings, and write.

    Raises:
        CommandError: The application cannot be imported or cannot be split so, or a name is taken; nothing was written.
    """
    application = find_application(target, name, requirements)
    bundle = into.absolute() if into else paths.root()
    if bundle.is_relative_to(application.folder) or application.folder.is_relative_to(bundle):
        raise CommandError(f"{application.folder} and the bundle {bundle} contain each other. Move one of them.")
    with suppress(_NothingToWrite):
        with _new(bundle, wheels) if into else _copy(bundle) as copy:
            _pour(application, copy, split, Environment(copy, python, list(setup) or None))
            if dry_run:
                print("\nNothing was written (--dry-run).")
                raise _NothingToWrite
        print(f"\n✓ {bundle}\n\n  cd {bundle}\n  make up")


@contextmanager
def _new(bundle: Path, wheels: Path | None) -> Iterator[Path]:
    """A new bundle without a function of its own."""
    with new_bundle(bundle, wheels_in(wheels or default_wheels())) as made:
        remove_function(made, "hello")
        yield made
        write_document(made)


@contextmanager
def _copy(bundle: Path) -> Iterator[Path]:
    """A copy of the bundle; new and changed files are copied back when the block ends without an error."""
    with tempfile.TemporaryDirectory(prefix="decant-pour-") as scratch:
        copy = Path(scratch) / bundle.name
        shutil.copytree(bundle, copy, ignore=_IGNORED, symlinks=True)
        yield copy
        for path in (each for each in copy.rglob("*") if each.is_file()):
            original = bundle / path.relative_to(copy)
            if not original.is_file() or not filecmp.cmp(path, original, shallow=False):
                original.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, original)


def _pour(application: Application, bundle: Path, split: str, environment: Environment) -> None:
    """Print the plan, and write into a copy of the bundle."""
    report, read, scheme = _scan(application)
    code = write.copy_code(application, bundle)
    variable = next((name for name in DATABASE_VARIABLES if name in read), None)
    database = (variable, scheme) if variable and scheme else None
    report = sorted((file, _with_database(finding, database)) for file, finding in report)
    settings = _settings(application, bundle, database, read, report)
    for variable in settings.variables:
        print(f"setting {variable}: a parameter of template.yaml; for the local cloud, in .env")
    if database:
        print(f"setting {database[0]}: the address of the bundle's PostgreSQL, {database[1]}://…")
    for file, finding in report:
        print(printed(file, finding))
    _refuse(split, report)
    is_sqlite = any(finding.text.startswith(SQLITE) and finding.kind is Kind.CHANGE for _, finding in report)
    found, changed = environment.describe(application, code, settings, is_sqlite=is_sqlite)
    for file, finding in _of_description(found, code, changed):
        print(printed(file, finding))
    print(f"{application.target} in {application.folder}: {_counts(found)}")
    for finding in _of_routes(found, bundle):
        print(printed("template.yaml", finding))
    routes = routes_of(found["rules"], split, application.name)
    for function, own_routes in routes.items():
        print(f"functions/{function}: {', '.join(map(str, own_routes))}")
    write.add_functions(application, routes, found, settings, bundle)


def _settings(
    application: Application, bundle: Path, database: tuple[str, str] | None, read: set[str], report: Report
) -> Settings:
    own = {*Template(bundle).document["Globals"]["Function"]["Environment"]["Variables"], *_SET_BY_OTHERS}
    names = read - own - {database[0] if database else ""}
    if any(finding.kind is Kind.FIXED and finding.text.startswith("SECRET_KEY") for _, finding in report):
        names.add("SECRET_KEY")
    values = {name: value for name, value in given_settings(application).items() if name in names}
    if "SECRET_KEY" in names:
        values.setdefault("SECRET_KEY", secrets.token_urlsafe(32))
    return Settings(variables=sorted(names), database=database, values=values)


def _scan(application: Application) -> tuple[Report, set[str], str | None]:
    """Findings in the source, the environment variables that it reads, and the scheme of its database's address."""
    report: Report = []
    read, schemes = set[str](), set[str]()
    for file, found in scan(application.folder, findings):
        name = file.relative_to(application.folder)
        if not _NOT_DEPLOYED.intersection(name.parts) and not name.name.startswith(("test_", "tests.", "conftest")):
            report += [(str(name), finding) for finding in found]
            text = file.read_text(errors="replace")
            read |= variables(text)
            schemes |= {
                scheme for package, scheme in _SCHEMES.items() if re.search(rf"import.*{package}|from {package}", text)
            }
    return report, read, max(schemes, default=None)


def _with_database(finding: Finding, database: tuple[str, str] | None) -> Finding:
    if database is None or not finding.text.startswith(SQLITE):
        return finding
    text = f"{SQLITE} is the default; the function sets {database[0]} to PostgreSQL."
    return replace(finding, kind=Kind.FIXED, text=text)


def _of_description(found: Description, code: Path, changed: Sequence[str]) -> Report:
    """Findings of the import, and of the requirements that lost their versions."""
    report = [
        (
            file,
            Finding(
                line, *((Kind.CHANGE, _THREAD) if "thread" in what else (Kind.FIXED, f"The import {what}. {_COPY}"))
            ),
        )
        for file, line, what in found["events"]
    ]
    report += [
        ("requirements", Finding(1, Kind.DIFFERS, f"{each}: the layer has the version in shared/requirements.txt."))
        for each in changed
    ]
    if found["import_s"] > _IMPORT_BUDGET_S:
        text = f"The import takes {found['import_s']:.1f} s at each cold start. Import large packages in the views."
        report.append(("import", Finding(1, Kind.DIFFERS, text)))
    if not found["has_secret_key"] and any("session" in each for each in found["extensions"]):
        report.append(("import", Finding(1, Kind.CHANGE, "SECRET_KEY is not set.")))
    for folder in found["static"]:
        for path in (each for each in (code / folder).rglob("*") if each.is_file()):
            if path.stat().st_size > _MAX_STATIC_BYTES:
                text = "Responses above 6 MB fail. Serve the file from S3 or CloudFront."
                report.append((str(path.relative_to(code)), Finding(1, Kind.CHANGE, text)))
    return report


def _of_routes(found: Description, bundle: Path) -> list[Finding]:
    """Findings of the application's paths to which another function of the bundle responds."""
    model = Template(bundle)
    names = {route.path: model.functions()[route.function].name for route in model.routes() if "+}" not in route.path}
    taken = sorted({(rule["path"], names[rule["path"]]) for rule in found["rules"] if rule["path"] in names})
    advice = "responds in place of the application. Remove it: `decant remove function"
    return [Finding(1, Kind.CHANGE, f"{path}: the function {name} {advice} {name}`.") for path, name in taken]


def _refuse(split: str, report: Report) -> None:
    reasons = [
        f"{file}:{finding.line}: {finding.text}"
        for file, finding in sorted(report)
        if finding.kind is Kind.CHANGE and finding.text.startswith((SQLITE, STATE))
    ]
    if split != "one" and reasons:
        raise CommandError(
            f"--split {split} is refused: functions share no memory and no disk. Use --split one, or change\n"
            + "\n".join(reasons)
        )


def _counts(found: Description) -> str:
    parts = {"URL rules": len(found["rules"]), "blueprints": len(found["blueprints"]), "hooks": found["hooks"]}
    parts |= {"error handlers": found["error_handlers"], "static folders": len(found["static"])}
    counted = ", ".join(f"{number} {what}" for what, number in parts.items())
    lists = (f"{name} {', '.join(found[name]) or 'none'}" for name in ("extensions", "commands"))
    return "; ".join([counted, *lists])
