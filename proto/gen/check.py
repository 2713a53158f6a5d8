"""What a contract must keep to. Each finding is a sentence that names the place and what would be right."""

import datetime
import re

from gen.formats import FORMATS, matches
from gen.model import INTEGERS

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROOTS = ("/api/v1/", "/.well-known/")
PAGES = ("/health", "/openapi.json", "/asyncapi.json", "/docs")  # the gateway's own
COMMAND = re.compile(r"[a-z]+(\.[a-z][A-Za-z]*)*")
# In a WebSocket message these stand beside the request's own fields.
ENVELOPE = ("command", "msgId")
# protoc-c makes a C identifier of a method's name and of a field's, and does not look at these.
C_WORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile
while base""".split())
FIELDS_MAX = 64  # base/json.h, JSON_FIELDS_MAX
SUCCESSES = (200, 201, 202)
SHARED = "gateway"    # the package whose problems every method may have
SUNSET_DAYS_MIN = 180  # between telling and taking away: docs/versioning.md
BODY_MAX = 1024 * 1024  # HTTP_BODY_MAX


def check_contract(contract) -> list:
    findings = []
    for message in contract.messages.values():
        for field in message.fields:
            findings += [f"{message.name}.{field.name}: {f}" for f in check_field(contract, message, field)]
        if contains_itself(contract, message):
            findings.append(f"{message.name}: contains itself; a walk over it would have no end")
        if len(message.fields) > FIELDS_MAX:
            findings.append(f"{message.name}: more than {FIELDS_MAX} fields")
    for method in contract.methods:
        findings += [f"{method.name}: {finding}" for finding in check_method(method)]
        findings += [f"{method.name}: {finding}" for finding in check_problems(contract, method)]
        findings += [f"{method.name}: {finding}" for finding in check_deprecation(contract, method)]
    for problem in contract.problems:
        findings += [f'problem "{problem.code}" of {problem.package}: {f}' for f in check_problem(contract, problem)]
    for event in contract.events:
        findings += [f"{event.payload.name}: {finding}" for finding in check_event(event)]
    return findings + list(check_unique(contract))


def check_field(contract, message, field):
    limits = field.limits
    if field.odd:
        yield f"{field.odd} is no part of the contract"
    if field.name in C_WORDS:
        yield "is a word of C or protobuf-c; choose another name"
    if field.json in [f.json for f in message.fields if f is not field]:
        yield f"two fields are {field.json} in JSON"
    if limits.format and limits.format not in FORMATS:
        yield f'no such format "{limits.format}": one of {", ".join(FORMATS)}'
        return
    if limits.format and field.kind != "string":
        yield "only strings have a format"
    if limits.max and not (field.repeated or field.kind in ("string", "bytes") + INTEGERS):
        yield f"a {field.kind} has no max"
    if limits.example:
        yield from check_example(contract, field, limits.example)


def check_example(contract, field, example):
    if field.kind == "string":
        if len(example.encode()) > field.size_max:
            yield f"the example is longer than {field.size_max} bytes"
        if field.limits.format and not matches(field.limits.format, example):
            yield f"the example is not {FORMATS[field.limits.format].words}"
    elif field.kind == "enum":
        if example not in [name for name, _, _ in contract.enums[field.type].values]:
            yield f"the example is no value of {field.type}"
    elif field.kind in INTEGERS:
        if not re.fullmatch("-?[0-9]+", example) or field.value_max and int(example) > field.value_max:
            yield "the example is not a number within its max"
    else:
        yield f"a {field.kind} has no example"


def contains_itself(contract, message) -> bool:
    below = [contract.messages[f.type] for f in message.fields if f.kind == "message"]
    return message in contract.reachable(below)


def check_method(method):
    if not method.declared:
        yield "has no (options.endpoint)"
        return
    if method.name.rsplit("/", 1)[1].lower() in C_WORDS:
        yield "is a word of C or protobuf-c; choose another name"
    if method.streams:
        yield "streams; protobuf-c cannot"
    if not method.summary.endswith((".", "?")):
        yield "needs a summary, one sentence with its full stop"
    if method.content and method.output.fields:
        yield f"answers {method.content}, so {method.output.name} must be empty"
    if method.success not in SUCCESSES:
        yield f"success is {method.success}, not one of {SUCCESSES}"
    if method.body_max and not method.has_body:
        yield "has a body_max but no body"
    if method.body_max > BODY_MAX:
        yield f"body_max is {method.body_max}, more than {BODY_MAX}"
    if method.caller == "SERVICE" and method.public:
        yield "is for services and may not be on REST or the WebSocket"
    if method.caller == "GUEST" and method.permission != "NONE":
        yield "needs no permission: guests may call it"
    if method.command and not COMMAND.fullmatch(method.command):
        yield f'command "{method.command}" is not like "orders.place"'
    for name in ENVELOPE:
        if method.command and method.input.field(name):
            yield f'the field "{name}" of {method.input.name} is taken by the WebSocket message around it'
    if method.verb or method.path:
        yield from check_rest(method)


def is_page(path: str) -> bool:
    return any(path == page or path.startswith(page + "/") for page in PAGES)


def check_rest(method):
    if method.verb not in VERBS or not method.path.startswith(ROOTS) and not is_page(method.path):
        yield f'rest "{method.verb} {method.path}" is not a verb and a path below {" or ".join(ROOTS)}'
        return
    if not re.fullmatch(r"(/([a-z0-9._-]+|\{[a-z][A-Za-z0-9]*\}))+", method.path):
        yield f'path "{method.path}" is not lower-case words and {{fieldName}}s between slashes'
    if method.verb == "GET" and not method.idempotent:
        yield "is a GET and must be idempotent"
    for name in method.path_params:
        field = method.input.field(name)
        if not field:
            yield f"{{{name}}} of the path is no field of {method.input.name}"
        elif field.repeated or field.kind not in ("string", *INTEGERS):
            yield f"{{{name}}} of the path is not a string or integer in {method.input.name}"
        elif not field.limits.required:
            yield f"{{{name}}} of the path must be required in {method.input.name}"
    if len(set(method.path_params)) != len(method.path_params):
        yield "the path has a parameter twice"
    if not method.has_body:
        for field in method.free_fields:
            if field.kind in ("message", "bytes"):
                yield f"{method.input.name}.{field.name} cannot be in a query, and a {method.verb} has no body"


def check_problem(contract, problem):
    if not re.fullmatch("[a-z]+(_[a-z]+)*", problem.code):
        yield 'is not like "insufficient_funds"'
    if not 400 <= problem.status <= 599:
        yield f"status is {problem.status}, not from 400 to 599"
    if not problem.meaning.endswith("."):
        yield "needs a meaning, one sentence with its full stop"
    if problem.package != SHARED and contract.problem(SHARED, problem.code):
        yield "is everybody's already, in gateway.proto"


def check_problems(contract, method):
    for code in method.problems:
        if not contract.problem(method.package, code):
            yield f'the problem "{code}" is not declared in its file'
    if len(set(method.problems)) != len(method.problems):
        yield "has a problem twice"


def check_deprecation(contract, method):
    told = method.deprecated
    if not told:
        return
    if not method.public:
        yield "is for services: nobody outside needs to be told"
    try:
        since, sunset = map(datetime.date.fromisoformat, (told.since, told.sunset))
    except ValueError:
        yield f'deprecated since "{told.since}", sunset "{told.sunset}": days are like "2026-01-31"'
        return
    if (sunset - since).days < SUNSET_DAYS_MIN:
        yield f"its sunset is less than {SUNSET_DAYS_MIN} days after it was told"
    successor = contract.method(told.successor)
    if told.successor and not (successor and successor.public):
        yield f'its successor "{told.successor}" is no public method'
    elif successor and (successor.deprecated or successor is method):
        yield f'its successor "{told.successor}" is deprecated too'


def check_event(event):
    if not re.fullmatch(r"[a-z]+([.:]([a-z]+|\{[a-z][A-Za-z]*\}))*", event.channel):
        yield f'channel "{event.channel}" is not like "prices:{{symbol}}"'
    if not re.fullmatch(r"[a-z]+(\.[a-z]+)*", event.type):
        yield f'type "{event.type}" is not like "order.filled"'
    if not event.topic or not event.summary.endswith("."):
        yield f"channel {event.channel} needs a topic and a summary"
    if event.caller == "SERVICE":
        yield f"channel {event.channel} is for services and may not be on the gateway"


def check_unique(contract):
    public = [m for m in contract.methods if m.public]
    shapes = [(m.verb + " " + re.sub(r"\{[^}]*\}", "{}", m.path), m.name) for m in public if m.verb]
    yield from twice("is the endpoint of", shapes)
    yield from twice("is the command of", [(m.command, m.name) for m in public if m.command])
    yield from twice("is the event of", [(f"{e.channel} {e.type}", e.payload.name) for e in contract.events])
    for what, of in ("topic", lambda e: e.topic), ("caller", lambda e: e.caller):
        for channel in {e.channel for e in contract.events}:
            if len({of(e) for e in contract.events if e.channel == channel}) > 1:
                yield f"the events of channel {channel} have more than one {what}"
    yield from twice("is the operation id of", [(m.operation, m.name) for m in public])
    yield from twice("is the problem of", [(f"{p.package} {p.code}", p.package) for p in contract.problems])
    named = contract.public_messages() + contract.public_enums()
    yield from twice("is the public name of", [(thing.short, thing.name) for thing in named])


def twice(what, pairs):
    owners = {}
    for key, owner in pairs:
        if key in owners:
            yield f"{key} {what} {owners[key]} and of {owner}"
        owners[key] = owner

