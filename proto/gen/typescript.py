"""tradepost.d.ts: an interface per message, and maps from endpoints, commands and events to them."""

import re

from gen.text import field_words, sentence

HEAD = """// Written by proto/generate.py from proto/<file>.proto: do not edit.
// Tradepost {version}. 64-bit integers and decimals are strings, times are RFC 3339.
"""

TAIL = """
/** What a client sends on the WebSocket: the request's fields stand beside the command. */
export type CommandMessage<C extends keyof Commands> = { command: C; msgId: string } & Commands[C]["request"];

/** What it gets back. */
export type CommandAnswer<C extends keyof Commands> =
  | { msgId: string; ok: true; result: Commands[C]["response"] }
  | { msgId: string; ok: false; error: CommandError };

export interface CommandError {
  code: string;
  message: string;
  /** The same command may succeed later. */
  temporary: boolean;
}

/** An event, on the WebSocket and as the data of a server-sent event. */
export interface EventMessage<E extends keyof Events> {
  type: E;
  channel: Events[E]["channel"];
  epoch: string;
  seq: string;
  timestamp: string;
  data: Events[E]["data"];
}

/** The body of every REST error (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  /** A stable word, for programs. */
  code: string;
  detail?: string;
  instance?: string;
  requestId: string;
  errors?: { field: string; reason: string }[];
}
"""

CONTENTS = {"application/json": "unknown"}  # the rest is text

KINDS = {"string": "string", "bytes": "string", "bool": "boolean", "int32": "number", "uint32": "number",
         "int64": "string", "uint64": "string"}


def write_types(contract, version: str) -> str:
    lines = [HEAD.format(version=version)]
    requests = {m.name for m in contract.request_messages()}
    for enum in contract.public_enums():
        lines += enum_type(enum)
    for message in contract.public_messages():
        lines += interface(contract, message, message.name in requests)
    lines += method_map("Endpoints", "Every REST endpoint.",
                        [(f"{m.verb} {m.path}", m) for m in contract.methods if m.verb])
    lines += method_map("Commands", "Every WebSocket command.",
                        [(m.command, m) for m in contract.methods if m.command])
    lines += event_map(contract)
    return "\n".join(lines) + TAIL


def comment(text: str, indent: str = "") -> list:
    return [f"{indent}/** {text.replace('*/', '* /')} */"] if text else []


def enum_type(enum):
    yield from comment(sentence(enum.comment))
    yield f"export type {enum.short} ="
    for name, _, words in enum.values:
        yield from comment(sentence(words), "  ")
        yield f'  | "{name}"'
    yield "  ;"
    yield ""


def interface(contract, message, request: bool):
    yield from comment(sentence(message.comment))
    yield f"export interface {message.short} {{"
    for field in message.fields:
        yield from comment(field_words(field, enforced=request), "  ")
        optional = "?" if request and not field.limits.required else ""
        yield f"  {field.json}{optional}: {field_type(contract, field, request)};"
    yield "}"
    yield ""


def field_type(contract, field, request: bool) -> str:
    nullable = False
    if field.kind == "enum":
        name = contract.enums[field.type].short
    elif field.kind == "message":
        message = contract.messages[field.type]
        name = "string" if message.is_timestamp else message.short
        nullable = not request
    else:
        name = KINDS[field.kind]
    if field.repeated:
        return name + "[]"
    return name + " | null" if nullable else name


def method_map(name: str, words: str, pairs):
    yield from comment(words)
    yield f"export interface {name} {{"
    for key, method in sorted(pairs, key=lambda pair: pair[0]):
        yield from comment(sentence(method.summary), "  ")
        response = CONTENTS.get(method.content, "string") if method.content else method.output.short
        yield f'  "{key}": {{ request: {method.input.short}; response: {response} }};'
    yield "}"
    yield ""


def event_map(contract):
    yield from comment("Every event, by its type.")
    yield "export interface Events {"
    by_type = {}
    for event in contract.events:
        by_type.setdefault(event.type, []).append(event)
    for type_, events in sorted(by_type.items()):
        channels = " | ".join(sorted({channel_type(e.channel) for e in events}))
        payloads = " | ".join(sorted({e.payload.short for e in events}))
        yield from comment(events[0].summary, "  ")
        yield f'  "{type_}": {{ channel: {channels}; data: {payloads} }};'
    yield "}"


def channel_type(channel: str) -> str:
    if "{" not in channel:
        return f'"{channel}"'
    return "`" + re.sub(r"\{[^}]*\}", "${string}", channel) + "`"
