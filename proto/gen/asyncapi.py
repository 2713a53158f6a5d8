"""The AsyncAPI 3.0 document: commands and events of the WebSockets, events of the stream. As a client sees it."""

from gen.openapi import CALLERS, components_of, object_schema, operation_words, ref, security_schemes
from gen.problems import method_problems
from gen.text import message_example, request_example, sentence

ABOUT = """What a client of Tradepost sends and receives on its WebSockets and its stream of server-sent events; sending
and receiving are the client's. A command is a JSON object with the command's name, a msgId chosen by the client, and
the request's fields beside them; its answer bears the same msgId. Events of the channels that a client has subscribed
to come in between."""

LISTENERS = {
    "main": ("3332", "Every command. Authenticate within 10 s."),
    "login": ("3331", "To register, log in and refresh."),
    "guest": ("3334", "What is open to anyone."),
}
ANYWHERE = ("authenticate", "help", "ping")  # also on the login port
MSG_ID = "7"
PLACE = {"epoch": "1769903999123", "seq": "42", "timestamp": "2026-01-31T23:59:59.123Z"}


def write_asyncapi(contract, version: str) -> dict:
    commands = [m for m in contract.methods if m.command]
    channels = {"commands": commands_channel(commands)}
    operations = {m.operation: command_operation(contract, m) for m in commands}
    messages = {}
    for method in commands:
        messages |= command_messages(contract, method)
    messages["error"] = error_message(contract)
    for name in sorted({e.channel for e in contract.events}):
        events = [e for e in contract.events if e.channel == name]
        channels[channel_id(name)] = events_channel(name, events)
        operations["receive" + pascal(name)] = events_operation(name, events)
        messages |= {e.type: event_message(contract, e) for e in events}
    messages["resync"] = RESYNC
    document = {
        "asyncapi": "3.0.0",
        "id": "urn:tradepost",
        "info": {
            "title": "Tradepost",
            "version": version,
            "description": " ".join(ABOUT.split()),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "contact": {"name": "The house you talk to", "url": "https://localhost:3333/docs"},
            "tags": [{"name": p, "description": sentence(contract.packages[p])}
                     for p in sorted({m.package for m in commands})],
        },
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": channels,
        "operations": operations,
    }
    schemas = components_of(contract, [messages, COMMAND_ERROR])
    schemas |= {"CommandError": COMMAND_ERROR}
    document["components"] = {
        "messages": messages,
        "schemas": schemas,
        "securitySchemes": security_schemes(asyncapi=True),
        "correlationIds": {"msgId": {"description": "Chosen by the client; unique among what still runs.",
                                     "location": "$message.payload#/msgId"}},
    }
    return document


def servers() -> dict:
    ret = {}
    for name, (port, words) in LISTENERS.items():
        ret[name] = {"host": f"localhost:{port}", "protocol": "wss", "pathname": "/ws", "description": words}
    ret["stream"] = {"host": "localhost:3333", "protocol": "https", "pathname": "/api/v1/stream",
                     "description": "Server-sent events: GET with the channels in the query."}
    return ret


def server_refs(names) -> list:
    return [{"$ref": f"#/servers/{name}"} for name in names]


def listeners(method) -> list:
    """The WebSockets that offer a command."""
    ret = ["main"]
    if method.command.startswith("auth.") or method.command in ANYWHERE:
        ret.append("login")
    if method.caller == "GUEST" and method.command != "authenticate":
        ret.append("guest")
    return ret


def pascal(name: str) -> str:
    words = name.split("{")[0].replace(".", ":").split(":")
    return "".join(word.capitalize() for word in words if word)


def channel_id(name: str) -> str:
    text = pascal(name)
    return text[0].lower() + text[1:]


def needs_token(caller: str) -> dict:
    return {} if caller == "GUEST" else {"security": [{"$ref": "#/components/securitySchemes/bearer"}]}


# ---- commands ----

def commands_channel(commands) -> dict:
    names = [name for m in commands for name in (m.operation, m.operation + "Answer")] + ["error"]
    return {
        "address": "/",
        "title": "Commands",
        "description": "A connection: commands go in, answers come out, in any order. Up to 32 commands may run at once.",
        "servers": server_refs(LISTENERS),
        "messages": {name: ref("messages", name) for name in names},
    }


def command_operation(contract, method) -> dict:
    def message(name):
        return {"$ref": f"#/channels/commands/messages/{name}"}

    offered = listeners(method)
    return {
        "action": "send",
        "channel": {"$ref": "#/channels/commands"},
        "title": method.command,
        "summary": sentence(method.summary),
        "description": operation_words(contract, method, websocket=True) + f" Offered on: {', '.join(offered)}.",
        "tags": [{"name": method.package}],
        **needs_token(method.caller),
        "messages": [message(method.operation)],
        "reply": {"channel": {"$ref": "#/channels/commands"},
                  "messages": [message(method.operation + "Answer"), message("error")]},
        **({"x-deprecated": True} if method.deprecated else {}),
        "x-servers": offered,
        "x-problems": [p.code for p in method_problems(contract, method)],
    }


def command_messages(contract, method) -> dict:
    sent = {"command": method.command, "msgId": MSG_ID} | request_example(contract, method.input.fields)
    result = ref("schemas", method.output.short) if not method.content else {"type": "object"}
    got = {"msgId": MSG_ID, "ok": True,
           "result": {} if method.content else message_example(contract, method.output)}
    return {
        method.operation: correlated(method.command, f"Sends {method.command}.",
                                     command_schema(contract, method), sent),
        method.operation + "Answer": correlated(f"{method.command}:answer", f"The answer to {method.command}.", {
            "type": "object",
            "required": ["msgId", "ok", "result"],
            "properties": {"msgId": MSG_ID_SCHEMA, "ok": {"const": True}, "result": result,
                           "deprecated": {"type": "object", "description": "The command will be gone."}},
        }, got),
    }


def command_schema(contract, method) -> dict:
    schema = object_schema(contract, method.input, method.input.fields, request=True)
    schema["required"] = ["command", "msgId", *schema.get("required", [])]
    schema["properties"] = {"command": {"const": method.command}, "msgId": MSG_ID_SCHEMA} | schema["properties"]
    return schema


def correlated(name: str, summary: str, payload: dict, example: dict) -> dict:
    return message_object(name, summary, payload, example) | {"correlationId": ref("correlationIds", "msgId")}


def message_object(name: str, summary: str, payload: dict, example: dict) -> dict:
    return {"name": name, "title": name, "summary": summary, "contentType": "application/json", "payload": payload,
            "examples": [{"name": "example", "payload": example}]}


def error_message(contract) -> dict:
    meaning = contract.problem("trading", "insufficient_funds")
    error = {"code": "insufficient_funds", "message": meaning.meaning if meaning else "", "temporary": False}
    return correlated("error", "A command failed.", {
        "type": "object",
        "required": ["msgId", "ok", "error"],
        "properties": {"msgId": {"type": ["string", "null"], "description": "Null if the command had none."},
                       "ok": {"const": False}, "error": ref("schemas", "CommandError")},
    }, {"msgId": MSG_ID, "ok": False, "error": error})


# ---- events ----

def events_channel(name: str, events) -> dict:
    parameters = {p: {"description": PARAMETERS.get(p, f"The {p}."), "examples": [EXAMPLES.get(p, "x")]}
                  for p in parameters_of(name)}
    guest = events[0].caller == "GUEST"
    words = f"For {CALLERS[events[0].caller]}. " + " ".join(dict.fromkeys(DELIVERIES[e.delivery] for e in events))
    return {
        "address": name,
        "title": name,
        "description": words,
        "servers": server_refs(["main", "guest", "stream"] if guest else ["main", "stream"]),
        **({"parameters": parameters} if parameters else {}),
        "messages": {e.type: ref("messages", e.type) for e in events} | {"resync": ref("messages", "resync")},
    }


def parameters_of(name: str) -> list:
    return [part.split("}")[0] for part in name.split("{")[1:]]


def events_operation(name: str, events) -> dict:
    place = f"#/channels/{channel_id(name)}"
    return {
        "action": "receive",
        "channel": {"$ref": place},
        "title": name,
        "summary": " ".join(sentence(e.summary) for e in events),
        "tags": [{"name": e} for e in sorted({e.payload.name.split(".")[0] for e in events})],
        **needs_token(events[0].caller),
        "messages": [{"$ref": f"{place}/messages/{name}"} for name in [e.type for e in events] + ["resync"]],
    }


def event_example(contract, event) -> dict:
    name = event.channel
    for parameter in parameters_of(name):
        name = name.replace("{" + parameter + "}", EXAMPLES.get(parameter, "x"))
    return {"type": event.type, "channel": name, **PLACE, "data": message_example(contract, event.payload)}


def event_message(contract, event) -> dict:
    return message_object(event.type, sentence(event.summary), {
        "type": "object",
        "required": ["type", "channel", *PLACE, "data"],
        "properties": {
            "type": {"const": event.type},
            "channel": {"type": "string", "description": f"As {event.channel}."},
            **PLACE_SCHEMA,
            "timestamp": {"type": "string", "format": "date-time"},
            "data": ref("schemas", event.payload.short),
        },
    }, event_example(contract, event))


PARAMETERS = {"symbol": "A market."}
EXAMPLES = {"symbol": "BTC-USDT"}
DELIVERIES = {
    "EVERY": "Every event comes, in order.",
    "LATEST": "A client that cannot keep up gets only the newest event.",
    "SHEDDABLE": "A client that cannot keep up may miss events.",
}
MSG_ID_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 64}
PLACE_SCHEMA = {
    "epoch": {"type": "string", "description": "Another epoch is another numbering."},
    "seq": {"type": "string", "description": "Goes up; there may be gaps."},
}
RESYNC = message_object("resync", "What was missed is gone: read what you keep of the channel anew.", {
    "type": "object",
    "required": ["type", "channel", "epoch", "seq"],
    "properties": {"type": {"const": "resync"}, "channel": {"type": "string"}, **PLACE_SCHEMA},
}, {"type": "resync", "channel": "prices:BTC-USDT", "epoch": PLACE["epoch"], "seq": PLACE["seq"]})
COMMAND_ERROR = {
    "type": "object",
    "description": "Why a command failed.",
    "required": ["code", "message", "temporary"],
    "properties": {
        "code": {"type": "string", "description": "A stable word, for programs.", "examples": ["insufficient_funds"]},
        "message": {"type": "string", "description": "For people."},
        "temporary": {"type": "boolean", "description": "The same command may succeed later."},
        "retryAfterMs": {"type": "integer", "description": "With rate_limited: milliseconds until it is allowed again."},
        "errors": {"type": "array", "description": "The wrong fields.", "items": ref("schemas", "ProblemField")},
    },
}
