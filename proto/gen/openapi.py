"""The OpenAPI 3.1 document: every method that has a REST path."""

import http

from gen.formats import FORMATS
from gen.model import TIMESTAMP
from gen.problems import method_problems, takes_key
from gen.text import deprecation_words, field_example, field_words, message_example, request_example, sentence

ABOUT = """The REST side of Tradepost. JSON in and out, canonical proto3 JSON: names in lowerCamelCase; amounts,
prices and 64-bit integers are strings; times are RFC 3339 in UTC with milliseconds; every field of an answer is
there, also at its default. Unknown fields in a request are refused. Lists page by cursor. An answer of 5xx means
that the outcome is unknown, never that it failed: ask again with the same Idempotency-Key."""

RANGES = {"int32": (-2**31, 2**31 - 1), "uint32": (0, 2**32 - 1)}

CALLERS = {"GUEST": "anyone", "USER": "users", "ADMIN": "administrators"}


def ref(kind: str, name: str) -> dict:
    return {"$ref": f"#/components/{kind}/{name}"}


def write_openapi(contract, version: str) -> dict:
    paths = {}
    for method in sorted((m for m in contract.methods if m.verb), key=lambda m: m.path):
        paths.setdefault(method.path, {})[method.verb.lower()] = operation(contract, method)
    rest = [m for m in contract.methods if m.verb]
    packages = sorted({m.name.split(".")[0] for m in rest})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradepost",
            "version": version,
            "summary": "A trading community's exchange, wallet and more.",
            "description": " ".join(ABOUT.split()),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{
            "url": "https://{host}:{port}",
            "description": "A house of Tradepost",
            "variables": {"host": {"default": "localhost"}, "port": {"default": "3333"}},
        }],
        "tags": [{"name": p, "description": sentence(contract.packages[p])} for p in packages],
        "paths": paths,
        "components": components(contract, paths),
    }


# ---- operations ----

def operation(contract, method) -> dict:
    ret = {
        "operationId": method.operation,
        "tags": [method.name.split(".")[0]],
        "summary": method.summary.rstrip("."),
        "description": operation_words(contract, method),
        **({"deprecated": True} if method.deprecated else {}),
        "security": security(method),
        "parameters": parameters(contract, method),
    }
    if method.has_body and method.free_fields:
        ret["requestBody"] = request_body(contract, method)
    ret["responses"] = responses(contract, method)
    return ret


def operation_words(contract, method, websocket: bool = False) -> str:
    told = f"Deprecated. {deprecation_words(contract, method)}" if method.deprecated else ""
    words = [told, sentence(method.summary), sentence(method.comment), f"For {CALLERS[method.caller]}."]
    if method.permission != "NONE":
        words.append(f"API keys need the permission {method.permission}.")
    words.append(f"Rate class {method.rate}: {contract.rate_words(method.rate)}.")
    if method.command and not websocket:
        words.append(f"On the WebSocket: `{method.command}`.")
    return " ".join(word for word in words if word)


def security(method) -> list:
    if method.caller == "GUEST":
        return []
    if method.permission == "NONE":
        return [{"bearer": []}]
    return [{"bearer": []}, {"apiKey": [], "apiTimestamp": [], "apiSignature": []}]


def parameters(contract, method) -> list:
    ret = [parameter(contract, method.input.field(name), "path") for name in method.path_params]
    if not method.has_body:
        ret += [parameter(contract, f, "query") for f in method.free_fields]
    if takes_key(method):
        ret.append(ref("parameters", "IdempotencyKey"))
    return ret


def parameter(contract, field, where: str) -> dict:
    ret = {
        "name": field.json,
        "in": where,
        "required": field.limits.required,
        "schema": field_schema(contract, field, request=True),
    }
    if field.repeated:
        ret |= {"style": "form", "explode": False}
    if field.limits.example:
        ret["example"] = field_example(contract, field)
    words = field_words(field, enforced=True)
    return ret | ({"description": words} if words else {})


def request_body(contract, method) -> dict:
    fields = method.free_fields
    if method.path_params:  # what is in the path is not in the body
        schema = object_schema(contract, method.input, fields, request=True)
    else:
        schema = ref("schemas", method.input.short)
    words = {"description": f"At most {method.body_max} bytes."} if method.body_max else {}
    return words | {
        "required": any(f.limits.required for f in fields),
        "content": {"application/json": {"schema": schema, "example": request_example(contract, fields)}},
    }


def success(contract, method) -> dict:
    if method.content:
        schema = {"type": "object" if method.content == "application/json" else "string"}
        return {"description": sentence(method.summary), "content": {method.content: {"schema": schema}}}
    message = method.output
    return {"description": sentence(message.comment) or "Done.", "content": {"application/json": {
        "schema": ref("schemas", message.short),
        "example": message_example(contract, message),
    }}}


def responses(contract, method) -> dict:
    ret = {str(method.success): success(contract, method)}
    by_status = {}
    for p in method_problems(contract, method):
        by_status.setdefault(p.status, []).append(p)
    for status, problems in by_status.items():
        ret[str(status)] = problem_response(status, problems, method)
    if not any(status.startswith("4") for status in ret):
        ret["4XX"] = ref("responses", "Problem")
    ret["default"] = ref("responses", "Problem")
    return ret


def problem_response(status: int, problems: list, method) -> dict:
    """Each way to fail with this status; the first of them as an example."""
    words = " ".join(f"`{p.code}`: {p.meaning}" for p in problems)
    content = {"application/problem+json": {
        "schema": ref("schemas", "Problem"),
        "example": problem_example(problems[0], method.path),
    }}
    return {"description": words} | ({"headers": LIMITED} if status == 429 else {}) | {"content": content}


# ---- schemas ----

def components(contract, paths) -> dict:
    return {
        "schemas": components_of(contract, [paths, PROBLEMS]),
        "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY},
        "headers": HEADERS,
        "responses": PROBLEMS,
        "securitySchemes": security_schemes(),
    }


def components_of(contract, roots) -> dict:
    """The schemas that the roots lead to."""
    requests = {m.name for m in contract.request_messages()}
    schemas = {m.short: object_schema(contract, m, m.fields, m.name in requests)
               for m in contract.public_messages()}
    schemas |= {e.short: enum_schema(e) for e in contract.public_enums()}
    schemas |= {"Problem": PROBLEM, "ProblemField": PROBLEM_FIELD}
    return {name: schemas[name] for name in sorted(referenced(schemas, roots))}


def security_schemes(asyncapi: bool = False) -> dict:
    if not asyncapi:
        return SECURITY
    return {"bearer": SECURITY["bearer"] | {"description": "The access token: in the command authenticate, which takes a key's signature too; of the "
                                                           "stream, in the header Authorization."}}


def referenced(schemas, roots) -> set:
    """The names of the schemas that the roots lead to."""
    found, queue = set(), list(roots)
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            name = value.get("$ref", "").removeprefix("#/components/schemas/")
            if name in schemas and name not in found:
                found.add(name)
                queue.append(schemas[name])
            queue += value.values()
        elif isinstance(value, list):
            queue += value
    return found


def object_schema(contract, message, fields, request: bool) -> dict:
    ret = {"type": "object"}
    if message.comment:
        ret["description"] = sentence(message.comment)
    required = [f.json for f in fields if f.limits.required or not request]
    if required:
        ret["required"] = required
    ret["properties"] = {f.json: described(contract, f, request) for f in fields}
    if request:
        ret["additionalProperties"] = False
    return ret


def described(contract, field, request: bool) -> dict:
    schema = field_schema(contract, field, request)
    words = field_words(field, enforced=request)
    if words:
        schema["description"] = words
    if field.limits.example:
        schema["examples"] = [field_example(contract, field)]
    return schema


def field_schema(contract, field, request: bool) -> dict:
    if not field.repeated:
        return value_schema(contract, field, request)
    schema = {"type": "array", "items": value_schema(contract, field, request)}
    if request:
        schema["maxItems"] = field.items_max
        if field.limits.required:
            schema["minItems"] = 1
    return schema


def value_schema(contract, field, request: bool) -> dict:
    if field.kind == "string":
        return string_schema(field) if request else {"type": "string"}
    if field.kind == "bytes":
        return {"type": "string", "contentEncoding": "base64"}
    if field.kind == "bool":
        return {"type": "boolean"}
    if field.kind == "enum":
        return ref("schemas", contract.enums[field.type].short)
    if field.kind in RANGES:
        low, high = RANGES[field.kind]
        if field.value_max:
            low, high = 0, field.value_max
        return {"type": "integer", "format": field.kind, "minimum": low, "maximum": high}
    if field.kind in ("int64", "uint64"):
        sign = "-?" if field.kind == "int64" else ""
        return {"type": "string", "format": field.kind, "pattern": f"^{sign}[0-9]+$"}
    if field.type == TIMESTAMP:
        type_ = "string" if request or field.repeated else ["string", "null"]
        return {"type": type_, "format": "date-time"}
    message = ref("schemas", contract.messages[field.type].short)
    return message if request or field.repeated else {"anyOf": [message, {"type": "null"}]}


def string_schema(field) -> dict:
    kind = FORMATS.get(field.limits.format)
    ret = {"type": "string", "maxLength": field.size_max}
    if kind and kind.openapi:
        ret["format"] = kind.openapi
    if kind and kind.pattern:
        ret["pattern"] = kind.pattern
    if kind and kind.min_length:
        ret["minLength"] = kind.min_length
    elif field.limits.required:
        ret["minLength"] = 1
    return ret


def enum_schema(enum) -> dict:
    words = [sentence(enum.comment)]
    words += [f"{name}: {comment.rstrip('.')}." for name, _, comment in enum.values if comment]
    ret = {"type": "string", "enum": [name for name, _, _ in enum.values]}
    text = " ".join(word for word in words if word)
    return ret | ({"description": text} if text else {})


# ---- what every operation shares ----

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Chosen by the caller: a repeat with the same key returns the first answer; the same key with "
                   "another body is a 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    "example": "7f1d9c52-order-17",
}

PROBLEM_FIELD = {
    "type": "object",
    "description": "One wrong field of a request.",
    "required": ["field", "reason"],
    "properties": {
        "field": {"type": "string", "description": "Its path in JSON.", "examples": ["orders[3].price"]},
        "reason": {"type": "string", "description": "What would be right.", "examples": ["at most 32 bytes"]},
    },
}

PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "code", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "examples": ["about:blank"]},
        "title": {"type": "string", "description": "The kind of problem, for people."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
        "code": {"type": "string", "description": "A stable word, for programs.", "examples": ["insufficient_funds"]},
        "detail": {"type": "string", "description": "This problem, for people."},
        "instance": {"type": "string", "format": "uri-reference", "description": "The path that was asked for."},
        "requestId": {"type": "string", "description": "Names this request in the logs."},
        "errors": {"type": "array", "items": ref("schemas", "ProblemField"), "description": "The wrong fields."},
    },
}

HEADERS = {
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimitLimit": {"description": "Calls per window.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimitRemaining": {"description": "Calls left in this window.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimitReset": {"description": "Seconds until the window ends.", "schema": {"type": "integer", "minimum": 0}},
}


LIMITED = {
    "Retry-After": ref("headers", "RetryAfter"),
    "RateLimit-Limit": ref("headers", "RateLimitLimit"),
    "RateLimit-Remaining": ref("headers", "RateLimitRemaining"),
    "RateLimit-Reset": ref("headers", "RateLimitReset"),
}


# As RFC 9110 names them; Python's own depend on its version.
TITLES = {413: "Content Too Large", 422: "Unprocessable Content", 499: "Client Closed Request"}


def problem_example(problem, instance: str) -> dict:
    wrong = [{"field": "limit", "reason": "at most 200"}] if problem.code == "invalid_argument" else []
    title = TITLES.get(problem.status) or http.HTTPStatus(problem.status).phrase
    return {"type": "about:blank", "title": title, "status": problem.status, "code": problem.code, "detail": problem.meaning,
            "instance": instance, "requestId": "019a3b5c7d8e7f0192a3b4c5d6e7f809", "errors": wrong}


PROBLEMS = {"Problem": {
    "description": "Anything else. After a 5xx the outcome is unknown.",
    "content": {"application/problem+json": {"schema": ref("schemas", "Problem")}},
}}

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
               "description": "The accessToken of POST /api/v1/auth/login."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-KEY",
               "description": "For bots: the id of a key of POST /api/v1/api-keys. Timestamp and signature go with it."},
    "apiTimestamp": {"type": "apiKey", "in": "header", "name": "X-API-TIMESTAMP",
                     "description": "When it was signed: milliseconds since 1970. The request is good for 5 seconds, or "
                                    "for the milliseconds in the header X-API-RECV-WINDOW (at most 60000)."},
    "apiSignature": {"type": "apiKey", "in": "header", "name": "X-API-SIGNATURE",
                     "description": "HMAC-SHA256 in hex, or Ed25519 in base64, over seven lines: method, path, query, "
                                    "key id, timestamp, receive window, and the SHA-256 of the body in hex."},
}
