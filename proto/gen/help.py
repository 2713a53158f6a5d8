"""The help data: every command and endpoint, channel and type, for the help pages and the WebSocket's `help`."""

from gen.asyncapi import event_example
from gen.deprecation import notice_field
from gen.problems import method_problems
from gen.text import field_example, field_words, message_example, page_of, request_example, sentence


def write_help(contract, version: str) -> dict:
    public = [m for m in contract.methods if m.public]
    return {
        "name": "Tradepost",
        "version": version,
        "operations": [operation(contract, m) for m in public],
        "channels": channels(contract),
        "problems": [{"code": p.code, "status": p.status, "part": p.package, "description": p.meaning}
                     for p in contract.problems],
        "types": [type_help(contract, m) for m in contract.public_messages()],
        "enums": [enum_help(e) for e in contract.public_enums()],
    }


def operation(contract, method) -> dict:
    words = " ".join(w for w in (sentence(method.summary), sentence(method.comment)) if w)
    return {
        "operation": method.operation,
        "method": method.name,
        "command": method.command or None,
        "verb": method.verb or None,
        "path": method.path or None,
        "description": words,
        "caller": method.caller,
        "permission": method.permission,
        "rate": method.rate,
        "rateLimit": contract.rate_words(method.rate),
        "idempotent": method.idempotent,
        "success": method.success,
        "bodyMax": method.body_max or None,
        "parameters": [parameter(contract, method, f) for f in method.input.fields],
        "example": request_example(contract, method.input.fields),
        "result": None if method.content else method.output.short,
        "answer": None if method.content else message_example(contract, method.output),
        "content": method.content or "application/json",
        "problems": [{"code": p.code, "status": p.status} for p in method_problems(contract, method)],
        "deprecated": notice_field(contract, method) if method.deprecated else None,
        "page": page_of(method),
    }


def parameter(contract, method, field) -> dict:
    where = "body" if method.has_body else "query"
    if field.json in method.path_params:
        where = "path"
    return {
        "name": field.json,
        "in": where if method.verb else None,
        "type": type_name(contract, field),
        "required": field.limits.required,
        "max": maximum(field),
        "format": field.limits.format or None,
        "example": field_example(contract, field) if field.limits.example else None,
        "description": field_words(field, enforced=True),
    }


def maximum(field):
    """Bytes of a string, items of a list, the largest value of an integer."""
    if field.repeated:
        return field.items_max
    if field.kind in ("string", "bytes"):
        return field.size_max
    return field.value_max or None


def type_name(contract, field) -> str:
    name = field.kind
    if field.kind == "enum":
        name = contract.enums[field.type].short
    elif field.kind == "message":
        message = contract.messages[field.type]
        name = "time" if message.is_timestamp else message.short
    return name + "[]" if field.repeated else name


def channels(contract) -> list:
    ret = {}
    for event in contract.events:
        channel = ret.setdefault(event.channel, {"name": event.channel, "caller": event.caller, "events": []})
        channel["events"].append({"type": event.type, "payload": event.payload.short, "description": event.summary,
                                  "delivery": event.delivery, "example": event_example(contract, event)})
    return list(ret.values())


def type_help(contract, message) -> dict:
    fields = [{"name": f.json, "type": type_name(contract, f), "description": field_words(f)}
              for f in message.fields]
    return {"name": message.short, "description": sentence(message.comment), "fields": fields}


def enum_help(enum) -> dict:
    values = [{"name": name, "number": number, "description": sentence(comment)}
              for name, number, comment in enum.values]
    return {"name": enum.short, "description": sentence(enum.comment), "values": values}
