"""The table of routes as OpenAPI 3.1; pure. Some tens of milliseconds, so not for the event loop's thread."""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from p2p.http.answers import OpenApiAnswer
from p2p.http.routes import ROUTES, Query, Route
from p2p.identity.principals import EVERYBODY

SCHEMAS = "#/components/schemas/{model}"
ERROR: dict[str, object] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": ["array", "object"]},
            },
        }
    },
}


def openapi_json() -> str:
    """The description as JSON."""
    return json.dumps(openapi(), sort_keys=True)


def openapi() -> dict[str, object]:
    """The description."""
    models = _models()
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=SCHEMAS)
    paths: dict[str, dict[str, object]] = {}
    for route in ROUTES:
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "RingRift node", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**schemas.get("$defs", {}), "Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models() -> list[type[BaseModel]]:
    used = (it for route in ROUTES for it in (route.body, route.answer, *(model for _, model in route.others)))
    return list(dict.fromkeys(model for model in used if model is not None and model is not OpenApiAnswer))


def _operation(route: Route) -> dict[str, object]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub("[^a-z0-9]+", "_", f"{route.method} {route.pattern}".lower()).strip("_"),
        "parameters": [*_path_parameters(route), *map(_query, route.queries)],
        "responses": {
            **_responses(route),
            "default": {
                "description": "an error",
                "content": {"application/json": {"schema": {"$ref": SCHEMAS.format(model="Error")}}},
            },
        },
        "security": [] if route.principals == EVERYBODY else [{"token": []}],
        "x-principals": sorted(route.principals),
    }
    if route.body is not None:
        operation["requestBody"] = {"content": _content(route.body)}
    return operation


def _responses(route: Route) -> dict[str, object]:
    """The answers by status; two of one status are alternatives."""
    found: dict[int, list[dict[str, Any]]] = {route.status: [_content(route.answer)]}
    for status, model in route.others:
        found.setdefault(status, []).append(_content(model))
    return {str(status): {"description": "as asked", "content": _either(them)} for status, them in found.items()}


def _either(contents: list[dict[str, Any]]) -> dict[str, Any]:
    if len(contents) == 1:
        return contents[0]
    return {"application/json": {"schema": {"anyOf": [it["application/json"]["schema"] for it in contents]}}}


def _content(model: type[BaseModel] | None) -> dict[str, Any]:
    if model is None:
        return {"text/plain": {"schema": {"type": "string"}}}
    if model is OpenApiAnswer:
        return {"application/json": {"schema": {"type": "object"}}}
    return {"application/json": {"schema": {"$ref": SCHEMAS.format(model=model.__name__)}}}


def _path_parameters(route: Route) -> Iterator[dict[str, object]]:
    for name in re.findall(r"\{(\w+)\}", route.pattern):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query(query: Query) -> dict[str, object]:
    kind = "integer" if query.number else "string"
    return {"name": query.name, "in": "query", "description": query.meaning, "schema": {"type": kind}}
