"""The OpenAPI document: what FastAPI finds by itself, and what it cannot: forms, tokens, and what may go wrong."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.http.documented import SCHEMAS, problem
from app.http.origins import SAFE_METHODS
from app.http.problems import Problem
from app.http.submissions import FILE, FILENAME, FILENAME_LENGTH, SETTINGS, SHA256
from micronet.architectures import architectures
from micronet.contract.values import SHA256_PATTERN
from micronet.jobs import JOBS
from micronet.tracks import BUILT_IN, tracks
from worker.settings import Settings

_OPEN_TAGS = {"server"}
"""Routes with these tags need no token."""

Json = dict[str, Any]


def install_openapi(app: FastAPI, settings: Settings, open_access: bool) -> None:
    """Have `app` describe itself, limits included; the document is made once, when somebody asks.

    Anybody may ask: where tokens are needed, it names the built-in tracks as examples, and not this server's own.
    """

    def document() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, settings, open_access)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _document(app: FastAPI, settings: Settings, open_access: bool) -> Json:
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _adopt(
        schemas, "Problem", Problem.model_json_schema(ref_template=f"{SCHEMAS}Problem.{{model}}")
    )
    named = {"enum": list(tracks(settings.data))} if open_access else {"examples": list(BUILT_IN)}
    for kind in JOBS:
        document["paths"][f"/{kind}"]["post"]["requestBody"] = _form(schemas, kind, settings, named)
    checkpoint = document["paths"]["/checkpoints/{sha256}"]
    checkpoint["put"]["requestBody"] = checkpoint["patch"]["requestBody"] = _file(settings)
    _bound_pieces(checkpoint["patch"], settings)
    _name_tracks(document, named)
    for method, operation in _operations(document):
        _leave_out_null(operation)
        _add_problems(method, operation, open_access)
        if not open_access and not _OPEN_TAGS & set(operation["tags"]):
            operation["security"] = [{"token": []}]
    if not open_access:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


_DESCRIPTION = """\
Scores efficient networks: upload a checkpoint, get a MicroNet score of which every number was derived from the weights.
Errors are RFC 9457 problems with a stable `code`. POSTs take an `Idempotency-Key`."""


def _leave_out_null(operation: Json) -> None:
    """A parameter that may be left out is no parameter that may be null: there is no null in an address."""
    for parameter in operation.get("parameters", ()):
        choices = [choice for choice in parameter["schema"].pop("anyOf", ()) if choice != {"type": "null"}]
        assert len(choices) <= 1, parameter
        parameter["schema"] |= dict(*choices)


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for operations in document["paths"].values():
        yield from operations.items()


def _adopt(schemas: Json, prefix: str, schema: Json) -> Json:
    """`schema`, its definitions moved to the document's under names that begin with `prefix`."""
    for name, definition in schema.pop("$defs", {}).items():
        schemas[f"{prefix}.{name}"] = definition
    return schema


def _form(schemas: Json, kind: str, settings: Settings, named: Json) -> Json:
    """The form of one kind of job: a file, or the hash of one, or for some kinds neither but an architecture.

    `named`: what its schema says of a track, beside that it is a name.
    """
    schema = JOBS[kind].settings.model_json_schema(ref_template=f"{SCHEMAS}{kind}.{{model}}")
    schemas[f"{kind}.Settings"] = _adopt(schemas, kind, schema)
    _describe_settings(schemas, kind, named)
    given = {"$ref": f"{SCHEMAS}{kind}.Settings"}
    file = {
        "type": "string",
        "format": "binary",
        "minLength": 1,
        "maxLength": settings.upload_bytes,
        "description": f"ONNX, safetensors or a PyTorch state dict; at most {settings.upload_bytes:,} bytes",
    }
    sha256 = {"type": "string", "pattern": SHA256_PATTERN, "description": "of a file that is here already"}
    name = {"type": "string", "minLength": 1, "maxLength": FILENAME_LENGTH, "description": "what the file is called"}
    choices = [
        _object(FILE, {FILE: file, SETTINGS: given}),
        _object(SHA256, {SHA256: sha256, FILENAME: name, SETTINGS: given}),
    ]
    if JOBS[kind].file == "optional":
        schemas[f"{kind}.SettingsWithoutFile"] = _with_architecture(schemas, kind)
        choices.append(_object(SETTINGS, {SETTINGS: {"$ref": f"{SCHEMAS}{kind}.SettingsWithoutFile"}}))
    limit = f"all fields but the file: at most {settings.form_bytes:,} bytes"
    encoding = {SETTINGS: {"contentType": "application/json"}, FILE: {"contentType": "application/octet-stream"}}
    content = {"multipart/form-data": {"schema": {"anyOf": choices, "description": limit}, "encoding": encoding}}
    return {"required": True, "content": content}


def _object(required: str, properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [required], "additionalProperties": False}


def _with_architecture(schemas: Json, kind: str) -> Json:
    """The settings of a job that starts from a fresh network."""
    schema = copy.deepcopy(schemas[f"{kind}.Settings"])
    schema["properties"]["architecture"] = {"$ref": f"{SCHEMAS}{kind}.ArchitectureSettings"}
    schema["required"] = ["architecture"]
    return dict(schema)


def _describe_settings(schemas: Json, kind: str, named: Json) -> None:
    """Names of tracks and architectures, and each architecture's options: what this very server takes."""
    properties = schemas[f"{kind}.Settings"]["properties"]
    if "track" in properties:
        properties["track"] |= named
    schema = schemas[f"{kind}.ArchitectureSettings"]
    choices = []
    for name, architecture in architectures().items():
        options = architecture.options.model_json_schema(ref_template=f"{SCHEMAS}{name}.{{model}}")
        schemas[f"{name}.Options"] = _adopt(schemas, name, options)
        choice = copy.deepcopy(schema)
        choice["properties"]["name"] = {"const": name}
        choice["properties"]["options"] = {"$ref": f"{SCHEMAS}{name}.Options"}
        choices.append(choice)
    schemas[f"{kind}.ArchitectureSettings"] = {"anyOf": choices, "description": schema["description"]}


def _file(settings: Settings) -> Json:
    schema = {"type": "string", "format": "binary", "minLength": 1, "maxLength": settings.upload_bytes}
    return {"required": True, "content": {"application/octet-stream": {"schema": schema}}}


def _bound_pieces(operation: Json, settings: Settings) -> None:
    for parameter in operation["parameters"]:
        if parameter["in"] == "header":
            parameter["schema"]["maximum"] = settings.upload_bytes


def _name_tracks(document: Json, named: Json) -> None:
    for parameter in document["paths"]["/leaderboard"]["get"]["parameters"]:
        if parameter["name"] == "track":
            parameter["schema"] |= named


_EVERYWHERE: Mapping[int, str] = {500: "A fault of the server", 503: "The database does not answer"}
_WITH_BODY: Mapping[int, str] = {
    400: "The body cannot be read",
    408: "The body stopped coming",
    413: "The body is over a limit",
    507: "No space is left",
}


def _add_problems(method: str, operation: Json, open_access: bool) -> None:
    """Every status an operation may answer with that is an error."""
    meanings = dict(_EVERYWHERE) if operation["operationId"] != "live" else {500: _EVERYWHERE[500]}
    if open_access:
        meanings[421] = "A Host header that does not name this server, or one of a proxy"
    if not _OPEN_TAGS & set(operation["tags"]):
        meanings[429] = "More requests, waiting jobs or bytes than a team may have"
        if not open_access:
            meanings[401] = "No valid token"
    if "parameters" in operation or "requestBody" in operation:
        meanings[422] = "Something in the request is not as documented"
    if not _OPEN_TAGS & set(operation["tags"]) and method.upper() not in SAFE_METHODS:
        meanings[403] = "Sent by a web page of another site"
    if "requestBody" in operation:
        meanings |= _WITH_BODY
        if "multipart/form-data" in operation["requestBody"]["content"]:
            meanings[415] = "Not multipart/form-data"
            meanings[404] = "No such checkpoint"
    answers = operation["responses"]
    answers.pop("422", None)
    for status, meaning in sorted(meanings.items()):
        answers.setdefault(str(status), problem(status, meaning))
