"""Validation of the document: that of `openapi-spec-validator`, with JSON schemas checked by a compiled validator.

Its own check of a schema takes a millisecond in Python, longer than all else that `make openapi` does for a route. The
official schema of documents that use the base dialect checks them in one pass.

Source: OpenAPI Specification 3.1, https://spec.openapis.org/oas/3.1/schema-base/2022-10-07.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from jsonschema_path.paths import SchemaPath
from openapi_schema_validator._specifications import REGISTRY  # schemas that the public functions compile in Python
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.schemas import schema_v31
from openapi_spec_validator.validation.keywords import OpenAPIV31SchemaValidator

__all__ = ["validate"]

_DIALECT = "https://spec.openapis.org/oas/3.1/dialect/base"
_SCHEMA = "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
_SCHEMA_BASE = {
    "$id": "https://spec.openapis.org/oas/3.1/schema-base/2022-10-07",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$ref": _SCHEMA,
    "$defs": {"schema": {"$dynamicAnchor": "meta", "$ref": _DIALECT}},
}


class _Ids(list[int]):
    """Ids of schemas that the validator has visited. It searches them, which in a list takes longer with each."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def append(self, schema_id: int, /) -> None:
        self._known.add(schema_id)

    def __contains__(self, schema_id: object, /) -> bool:
        return schema_id in self._known


class _Schemas(OpenAPIV31SchemaValidator):
    """The checks of a schema beyond its form, such as that a default value is valid."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.visited_schema_ids, self.meta_checked_schema_ids = _Ids(), _Ids()

    def _validate_schema_meta(self, schema: SchemaPath, schema_value: Any) -> None:
        del schema, schema_value  # `_form` has checked it with the document


class _Document(OpenAPIV31SpecValidator):
    keyword_validators = {**OpenAPIV31SpecValidator.keyword_validators, "schema": _Schemas}  # noqa: RUF012  # its type

    def validate(self) -> None:
        for error in self.root_validator(self.schema_path):
            raise error


def validate(document: Mapping[str, Any]) -> None:
    """Validate an OpenAPI 3.1 document whose schemas use the base dialect.

    Raises:
        ValidationError: it is invalid.
    """
    for error in _form().iter_errors(document):
        raise ValidationError(f"{error.message} - at /{'/'.join(map(str, error.instance_path))}")
    _Document(document).validate()


@cache
def _form() -> jsonschema_rs.Draft202012Validator:
    names = [uri for uri in REGISTRY if uri.startswith("https://spec.openapis.org/oas/3.1/")]
    resources: list[tuple[str, Any]] = [(uri, REGISTRY.contents(uri)) for uri in names]
    registry = jsonschema_rs.Registry([(_SCHEMA, dict(schema_v31)), *resources])
    return jsonschema_rs.Draft202012Validator(_SCHEMA_BASE, registry=registry, validate_formats=True)
