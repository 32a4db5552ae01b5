"""The service's OpenAPI document, and a page that shows it without scripts and without a network."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import prerank
from prerank.preranker import PreRanker
from prerank.service.messages import Score, Top
from prerank.service.settings import Settings

_TYPES = {"int64": "integer", "string": "string", "float32": "number"}
_ID = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_ERRORS = {
    "400": "A field is missing, unknown or wrong; `field` names it.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "415": "The body is not said to be JSON.",
    "429": "Too many requests at a time; `Retry-After` says when to try again.",
    "503": "Not answered in time.",
}
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:1rem;overflow:auto}code{background:#f4f4f4}"
)


def document(ranker: PreRanker, settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service.

    Args:
        ranker: whose user features requests have.
        settings: whose bounds requests keep to.
    """
    schemas = {kind.__name__: _of_message(kind, settings) for kind in (Top, Score)}
    schemas |= {"User": _user(ranker.user_fields), "Answer": _answer(), "Error": _error()}
    schemas["Answers"] = _object({"results": {"type": "array", "items": _ref("Answer")}})
    paths: dict[str, Any] = {
        "/v1/top": {"post": _operation(Top)},
        "/v1/score": {"post": _operation(Score)},
    }
    for path, about in _PLAIN.items():
        paths[path] = {"get": {"summary": about, "responses": {"200": {"description": "OK"}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"prerank: {ranker.model_name}", "version": prerank.__version__},
        "paths": paths,
        "components": {"schemas": schemas},
    }


_PLAIN = {
    "/healthz": "Whether the process answers.",
    "/readyz": "Whether model and index are loaded; the index's version. 503 until then.",
    "/metrics": "Metrics in the format of Prometheus.",
    "/openapi.json": "This document.",
}


def _operation(kind: type) -> dict[str, Any]:
    answer = {"anyOf": [_ref("Answer"), _ref("Answers")]}
    errors = {status: {"description": about, **_json(_ref("Error"))} for status, about in _ERRORS.items()}
    return {
        "summary": (kind.__doc__ or "").strip(),
        "requestBody": {"required": True, **_json(_ref(kind.__name__))},
        "responses": {"200": {"description": "The answer, or one for each of `users`.", **_json(answer)}, **errors},
    }


def _of_message(kind: type[Top] | type[Score], settings: Settings) -> dict[str, Any]:
    schema = kind.model_json_schema()
    properties = schema["properties"]
    properties["user"] = _ref("User") | {"description": properties["user"]["description"]}
    users = {"type": "array", "items": _ref("User"), "minItems": 1, "maxItems": settings.max_users}
    properties["users"] = users | {"description": properties["users"]["description"]}
    for name in ("candidates", "exclude"):
        if name in properties:
            properties[name] = {
                "type": "array",
                "items": _ID,
                "maxItems": settings.max_items,
                "description": properties[name]["description"],
            }
    if "n" in properties:
        properties["n"]["maximum"] = settings.max_items
    return schema


def _user(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The user's features as `features.json` has them. What has a default may be left out, and null is missing."""
    properties = {}
    for field in fields:
        one = {"type": [_TYPES[field["dtype"]], "null"]}
        sequence = {"type": ["array", "null"], "items": one}
        properties[field["name"]] = sequence if field["kind"] == "sequence" else one
    required = [field["name"] for field in fields if "default" not in field]
    return _object(properties, required) | {"additionalProperties": False}


def _answer() -> dict[str, Any]:
    number = {"type": ["number", "null"]}
    numbers = {"id": _ID, "logit": number, "probability": number}
    item = _object(numbers | {"value": {"type": "number"}}, list(numbers)) | {
        "description": "Numbers are null for a candidate that the index does not hold; `value` is there if asked for."
    }
    properties = {
        "index": {"type": "string", "description": "The version of the index that answered."},
        "items": {"type": "array", "items": item},
        "unknown": {"type": "array", "items": _ID, "description": "Candidates that the index does not hold."},
    }
    of_variant = {
        "variant": {"enum": ["main", "other"], "description": "Which model answered, where two are served."},
        "model": {"type": "string", "description": "The beginning of the model's fingerprint, where two are served."},
    }
    return _object(properties | of_variant, list(properties))


def _error() -> dict[str, Any]:
    return _object({"error": {"type": "string"}, "field": {"type": ["string", "null"]}})


def _object(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def page(described: Mapping[str, Any]) -> str:
    """An HTML page of an OpenAPI document."""
    title = html.escape(described["info"]["title"])
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1><p>The same as <a href=openapi.json>OpenAPI document</a>.</p>",
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])}</p><ul>")
            for status, response in operation["responses"].items():
                parts.append(f"<li><code>{status}</code> {html.escape(response['description'])}</li>")
            parts.append("</ul>")
    for name, schema in described["components"]["schemas"].items():
        shown = html.escape(json.dumps(schema, indent=2))
        parts.append(f"<h2 id={html.escape(name)}>{html.escape(name)}</h2><pre>{shown}</pre>")
    return "\n".join(parts)
