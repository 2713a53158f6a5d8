"""tradepost.d.ts: an interface per message, and maps from endpoints, commands and events to them.

tradepost.routes.ts: the REST endpoint behind each method's name, for clients that call by name.
"""

import re

from gen.problems import all_codes
from gen.text import deprecation_words, field_words, sentence

HEAD = """// Written by proto/generate.py from proto/<file>.proto: do not edit.
// Tradepost {version}. 64-bit integers and decimals are strings, times are RFC 3339.
"""

TAIL = """
/** What a client sends on the WebSocket: the request's fields stand beside the command. */
export type CommandMessage<C extends keyof Commands> = { command: C; msgId: string } & Commands[C]["request"];

/** What it gets back. */
export type CommandAnswer<C extends keyof Commands> =
  | { msgId: string; ok: true; result: Commands[C]["response"]; deprecated?: DeprecationNotice }
  | { msgId: string; ok: false; error: CommandError; deprecated?: DeprecationNotice };

/** A piece of an answer of more than 64 KiB: the data of all parts, put together, is the answer's text. */
export interface AnswerPart {
  msgId: string;
  part: number;
  parts: number;
  data: string;
}

export interface CommandError {
  code: ErrorCode | (string & {});
  message: string;
  /** The same command may succeed later. */
  temporary: boolean;
  /** With rate_limited: milliseconds until the same command is allowed again. */
  retryAfterMs?: number;
  /** The wrong fields. */
  errors?: FieldError[];
}

/** The command will be gone. */
export interface DeprecationNotice {
  /** The day it was told, as "2026-01-31". */
  since: string;
  /** The day from which it may be gone. */
  sunset: string;
  /** The command to use instead. */
  successor?: string;
  /** What to read about it. */
  link: string;
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

/** Any event; its type tells which. */
export type AnyEvent = { [E in keyof Events]: EventMessage<E> }[keyof Events];

/** Every channel's name. */
export type Channel = Events[keyof Events]["channel"];

/** The events of a channel: ChannelEvent<"user.orders">. */
export type ChannelEvent<C extends Channel> = {
  [E in keyof Events]: C extends Events[E]["channel"] ? EventMessage<E> : never;
}[keyof Events];

/** What was missed is gone: read what you keep of the channel anew, and go on from here. */
export interface Resync {
  type: "resync";
  channel: Channel;
  epoch: string;
  seq: string;
}

/** One wrong field of a request, and what would be right. */
export interface FieldError {
  field: string;
  reason: string;
}

/** The body of every REST error (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  /** A stable word, for programs. */
  code: ErrorCode | (string & {});
  detail?: string;
  instance?: string;
  requestId: string;
  errors?: FieldError[];
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
    lines += method_map(contract, "Endpoints", "Every REST endpoint.",
                        [(f"{m.verb} {m.path}", m) for m in contract.methods if m.verb])
    lines += method_map(contract, "Commands", "Every WebSocket command.",
                        [(m.command, m) for m in contract.methods if m.command])
    lines += event_map(contract)
    lines += error_codes(contract)
    return "\n".join(lines) + TAIL


def write_routes(contract) -> str:
    """Methods have one name everywhere: their command's. Those without one have only their endpoint."""
    lines = ["// Written by proto/generate.py: do not edit.", "",
             "/** The REST endpoint of every method that has a name. */", "export const routes = {"]
    lines += [f'  "{m.command}": "{m.verb} {m.path}",' for m in sorted(contract.methods, key=lambda m: m.command)
              if m.verb and m.command]
    return "\n".join(lines) + "\n} as const;\n"


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


def method_map(contract, name: str, words: str, pairs):
    yield from comment(words)
    yield f"export interface {name} {{"
    for key, method in sorted(pairs, key=lambda pair: pair[0]):
        told = f" @deprecated {deprecation_words(contract, method)}" if method.deprecated else ""
        yield from comment(sentence(method.summary) + told, "  ")
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
    yield ""


def channel_type(channel: str) -> str:
    if "{" not in channel:
        return f'"{channel}"'
    return "`" + re.sub(r"\{[^}]*\}", "${string}", channel) + "`"


def error_codes(contract):
    yield from comment("Every word that an error's code can be. New ones may come: treat an unknown one by its status.")
    yield "export type ErrorCode ="
    for code in all_codes(contract):
        meanings = dict.fromkeys(p.meaning for p in contract.problems if p.code == code)
        yield from comment(" Or: ".join(meanings), "  ")
        yield f'  | "{code}"'
    yield "  ;"
