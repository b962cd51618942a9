"""The bundle's functions with what invokes them and what they use, drawn from its template."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from decant_cloud.template.model import Function, Template
from tests.pictures import svg

__all__ = ["draw"]

WIDTH, MARGIN, ROW = 1090, 20, 24
SOURCE, SOURCE_WIDTH = MARGIN, 195
GROUP, GROUP_WIDTH = 255, 620
STORE, STORE_WIDTH = 915, 155
COLUMNS = 2
"""Functions beside each other in a group."""

SOURCES = {
    "Api": ("API Gateway", "a function for each route"),
    "SQS": ("SQS", "queues with dead letters"),
    "Schedule": ("EventBridge", "every minute"),
    "S3": ("S3", "uploaded files"),
    "": ("Deployment", "migrations; tokens of requests"),
}
"""What invokes functions, by the type of the template's event: its name and a remark."""
STORES = {"Database": "PostgreSQL", "Tasks": "PostgreSQL", "Worker": "PostgreSQL", "Migrate": "PostgreSQL"}
"""What a function uses, by the kind of its role."""
PUBLISHING = {"Tasks", "Worker"}
"""Kinds of roles that may publish messages."""


@dataclass(frozen=True)
class Group:
    """Functions that the same service invokes.

    Attributes:
        source: Type of the template's event.
        labels: A line for each function.
        roles: Kinds of their roles.
    """

    source: str
    labels: list[str]
    roles: set[str]

    @property
    def height(self) -> float:
        """Height of the group's box."""
        return 38 + ROW * -(-len(self.labels) // COLUMNS)


def draw(template: Template) -> str:
    """The picture, as SVG."""
    parts: list[str] = []
    y = 60.0
    spans: list[tuple[Group, float]] = []
    for group in _groups(template):
        spans.append((group, y))
        y += group.height + 16
    bottom = y - 16
    for group, top in spans:
        parts += _group(group, top)
    parts += _stores(spans, 60, bottom)
    layers = ", ".join(template.resources("AWS::Serverless::LayerVersion"))
    parts += [
        svg.text(MARGIN, 32, "One template.yaml: on AWS and in the local cloud", "title"),
        svg.text(GROUP, bottom + 26, f"Every function: Flask and its handler, on the layers {layers}", "dim small"),
    ]
    return svg.document(
        WIDTH, bottom + 42, parts, label="The functions of the bundle, what invokes them and what they use"
    )


def _groups(template: Template) -> list[Group]:
    labels: dict[str, list[str]] = defaultdict(list)
    roles: dict[str, set[str]] = defaultdict(set)
    for name, function in template.functions().items():
        events: dict[str, Any] = function.properties.get("Events") or {}
        source = next((event["Type"] for event in events.values()), "")
        labels[source] += _labels(name, function, events)
        roles[source].add(_role(function))
    return [Group(source, labels[source], roles[source]) for source in SOURCES if source in labels]


def _labels(name: str, function: Function, events: dict[str, Any]) -> list[str]:
    if function.routes:
        return [f"{route.method} {route.path}" for route in function.routes]
    queues = [event["Properties"]["Queue"] for event in events.values() if event["Type"] == "SQS"]
    return [f"{queue['Fn::GetAtt'][0]} → {name}" for queue in queues] or [name]


def _role(function: Function) -> str:
    """Kind of the function's role: `Database` of `!GetAtt Access.Outputs.DatabaseRoleArn`."""
    role = function.properties.get("Role", {})
    return str(role["Fn::GetAtt"][1]).removeprefix("Outputs.").removesuffix("RoleArn") if role else ""


def _group(group: Group, top: float) -> list[str]:
    name, remark = SOURCES[group.source]
    middle = top + group.height / 2
    parts = [
        svg.box(SOURCE, middle - 26, SOURCE_WIDTH, 52),
        svg.text(SOURCE + 12, middle - 4, name, "title"),
        svg.text(SOURCE + 12, middle + 14, remark, "dim small"),
        svg.line((SOURCE + SOURCE_WIDTH, middle), (GROUP, middle)),
        svg.box(GROUP, top, GROUP_WIDTH, group.height),
        svg.text(GROUP + 12, top + 21, "Lambda", "title"),
    ]
    width = (GROUP_WIDTH - 24) / COLUMNS
    for number, label in enumerate(group.labels):
        x, y = GROUP + 12 + width * (number % COLUMNS), top + 30 + ROW * (number // COLUMNS)
        parts += [svg.box(x, y, width - 6, ROW - 4, "inner"), svg.text(x + 8, y + 14.5, label, "code")]
    return parts


def _stores(spans: list[tuple[Group, float]], top: float, bottom: float) -> list[str]:
    using = [(group, y + group.height / 2) for group, y in spans if group.roles & STORES.keys()]
    parts = [
        svg.box(STORE, top, STORE_WIDTH, bottom - top),
        svg.text(STORE + 12, top + 24, "PostgreSQL", "title"),
        *(
            svg.text(STORE + 12, top + 46 + 18 * number, words, "dim small")
            for number, words in enumerate(
                ("the application's rows", "tasks, results", "steps of workflows", "schedules")
            )
        ),
        *(svg.line((GROUP + GROUP_WIDTH, y), (STORE, y)) for _, y in using),
    ]
    queues = next((y for group, y in spans if group.source == "SQS"), None)
    if queues is not None:
        x = GROUP + GROUP_WIDTH - 60
        publishing = next(y + group.height for group, y in spans if group.source == "Api" and group.roles & PUBLISHING)
        parts += [
            svg.line((x, publishing), (x, queues)),
            svg.text(x - 8, (publishing + queues) / 2 + 4, "messages", "dim small", anchor="end"),
        ]
    return parts
