"""The contract as plain objects, read from a FileDescriptorSet. What does not fit stops the build (check.py)."""

import re
from dataclasses import dataclass, field

from google.protobuf import descriptor_pb2

PROTO = descriptor_pb2.FieldDescriptorProto

KINDS = {
    PROTO.TYPE_STRING: "string", PROTO.TYPE_BYTES: "bytes", PROTO.TYPE_BOOL: "bool",
    PROTO.TYPE_INT32: "int32", PROTO.TYPE_SINT32: "int32", PROTO.TYPE_SFIXED32: "int32",
    PROTO.TYPE_UINT32: "uint32", PROTO.TYPE_FIXED32: "uint32",
    PROTO.TYPE_INT64: "int64", PROTO.TYPE_SINT64: "int64", PROTO.TYPE_SFIXED64: "int64",
    PROTO.TYPE_UINT64: "uint64", PROTO.TYPE_FIXED64: "uint64",
    PROTO.TYPE_ENUM: "enum", PROTO.TYPE_MESSAGE: "message",
    PROTO.TYPE_FLOAT: "float", PROTO.TYPE_DOUBLE: "float", PROTO.TYPE_GROUP: "group",
}

INTEGERS = ("int32", "uint32", "int64", "uint64")
TIMESTAMP = "google.protobuf.Timestamp"
SIZE_MAX = 256   # bytes of a string that says nothing else
ITEMS_MAX = 100  # of a list that says nothing else
HTTP_OK = 200


def json_name(name: str) -> str:
    return re.sub(r"_(.)", lambda match: match.group(1).upper(), name)


@dataclass
class Limits:
    max: int
    required: bool
    format: str
    example: str


@dataclass
class Field:
    name: str
    json: str
    number: int
    kind: str          # a value of KINDS
    repeated: bool
    type: str          # full name of the enum or message, or ""
    limits: Limits
    comment: str
    odd: str           # what of protobuf the contract does not use: "a oneof", ...

    @property
    def size_max(self) -> int:
        return SIZE_MAX if self.repeated else self.limits.max or SIZE_MAX

    @property
    def items_max(self) -> int:
        return self.limits.max or ITEMS_MAX

    @property
    def value_max(self) -> int:
        return self.limits.max if self.kind in INTEGERS and not self.repeated else 0


@dataclass
class Message:
    name: str          # "trading.Order"
    fields: list
    comment: str

    @property
    def short(self) -> str:
        return self.name.rsplit(".", 1)[1]

    @property
    def is_timestamp(self) -> bool:
        return self.name == TIMESTAMP

    def field(self, json: str):
        return next((f for f in self.fields if f.json == json), None)


@dataclass
class Enum:
    name: str
    values: list       # of (name, number, comment)
    comment: str

    @property
    def short(self) -> str:
        return self.name.rsplit(".", 1)[1]


@dataclass
class Problem:
    package: str
    code: str          # "insufficient_funds"
    status: int        # HTTP's
    meaning: str


@dataclass
class Deprecation:
    since: str         # "2026-01-31"
    sunset: str
    successor: str     # "trading.Trading/PlaceOrder", or ""


@dataclass
class Method:
    name: str          # "trading.Trading/PlaceOrder"
    service: str       # "trading.Trading"
    index: int
    input: Message
    output: Message
    comment: str
    streams: bool
    declared: bool     # has an endpoint option
    verb: str          # "" if not on REST
    path: str
    command: str       # "" if not on the WebSocket
    caller: str        # "GUEST", ...
    permission: str    # "NONE", ...
    rate: str
    idempotent: bool
    success: int
    body_max: int      # bytes of the request's body; 0: as the gateway is configured
    content: str       # the answer's media type; "": output as JSON
    summary: str
    problems: list     # codes of its file
    deprecated: Deprecation | None

    @property
    def package(self) -> str:
        return self.name.split(".")[0]

    @property
    def operation(self) -> str:
        """Its name for clients: "placeOrder"."""
        name = self.name.rsplit("/", 1)[1]
        return name[0].lower() + name[1:]

    @property
    def public(self) -> bool:
        return bool(self.verb or self.command)

    @property
    def local(self) -> bool:
        """The gateway answers it itself."""
        return self.service == "gateway.Gateway"

    @property
    def path_params(self) -> list:
        return re.findall(r"\{([^}]*)\}", self.path)

    @property
    def has_body(self) -> bool:
        """What is not in the path is in the body; with the other verbs it is in the query."""
        return self.verb in ("POST", "PUT", "PATCH")

    @property
    def free_fields(self) -> list:
        """The fields that are not in the path."""
        return [f for f in self.input.fields if f.json not in self.path_params]


@dataclass
class Event:
    channel: str
    type: str
    topic: str
    payload: Message
    caller: str
    delivery: str
    summary: str


@dataclass
class Contract:
    files: list = field(default_factory=list)      # our own: "trading.proto"
    packages: dict = field(default_factory=dict)   # "trading" -> the comment at its file's head
    messages: dict = field(default_factory=dict)   # full name -> Message; Timestamp too
    enums: dict = field(default_factory=dict)
    methods: list = field(default_factory=list)    # sorted by name
    events: list = field(default_factory=list)     # sorted by channel, type
    problems: list = field(default_factory=list)   # as declared

    def public_messages(self) -> list:
        """Every message a client can send or see, sorted by name."""
        public = [m for m in self.methods if m.public]
        roots = [m.input for m in public] + [m.output for m in public if not m.content]
        return self.reachable(roots + [event.payload for event in self.events])

    def request_messages(self) -> list:
        return self.reachable([method.input for method in self.methods if method.public])

    def reachable(self, roots) -> list:
        found, queue = {}, list(roots)
        while queue:
            message = queue.pop()
            if message.name in found or message.name == TIMESTAMP:
                continue
            found[message.name] = message
            queue += [self.messages[f.type] for f in message.fields if f.kind == "message"]
        return [found[name] for name in sorted(found)]

    def problem(self, package: str, code: str):
        return next((p for p in self.problems if (p.package, p.code) == (package, code)), None)

    def method(self, name: str):
        return next((m for m in self.methods if m.name == name), None)

    def rate_words(self, rate: str) -> str:
        """How much a rate class allows, as options.proto says it: "20 per minute and user"."""
        return next(comment for name, _, comment in self.enums["options.Rate"].values if name == rate)

    def public_enums(self) -> list:
        names = {f.type for m in self.public_messages() for f in m.fields if f.kind == "enum"}
        return [self.enums[name] for name in sorted(names)]


class Reader:
    """Reads one FileDescriptorProto into a contract."""

    def __init__(self, contract, file, options):
        self.contract, self.file, self.options = contract, file, options
        self.comments = {tuple(l.path): join_comments(l) for l in file.source_code_info.location}

    def comment(self, *path) -> str:
        return self.comments.get(path, "")

    def read(self):
        own = self.file.package != "google.protobuf"
        if own:
            self.contract.files.append(self.file.name)
            self.contract.packages[self.file.package] = self.comment(12)  # at the syntax line
            for p in self.file.options.Extensions[self.options.problem]:
                self.contract.problems.append(Problem(self.file.package, p.code, p.status, p.meaning))
        for i, message in enumerate(self.file.message_type):
            if own or self.file.package + "." + message.name == TIMESTAMP:
                self.read_message(message, self.file.package, (4, i))
        for i, enum in enumerate(self.file.enum_type):
            if own:
                self.read_enum(enum, self.file.package, (5, i))

    def read_message(self, proto, scope, path):
        name = scope + "." + proto.name
        for i, nested in enumerate(proto.nested_type):
            self.read_message(nested, name, path + (3, i))
        for i, enum in enumerate(proto.enum_type):
            self.read_enum(enum, name, path + (4, i))
        maps = {f"{name}.{nested.name}" for nested in proto.nested_type if nested.options.map_entry}
        fields = [self.read_field(f, self.comment(*path, 2, i), maps) for i, f in enumerate(proto.field)]
        message = Message(name, sorted(fields, key=lambda f: f.number), self.comment(*path))
        self.contract.messages[name] = message
        for channel in proto.options.Extensions[self.options.channel]:
            self.contract.events.append(Event(
                channel.name, channel.type, channel.topic, message,
                self.options.Caller.Name(channel.caller),
                self.options.Delivery.Name(channel.delivery), channel.summary))

    def read_field(self, proto, comment, maps) -> Field:
        limits = proto.options.Extensions[self.options.limits]
        odd = ""
        if proto.HasField("oneof_index"):
            odd = "a oneof or proto3 optional"
        elif KINDS[proto.type] in ("float", "group"):
            odd = "a " + KINDS[proto.type]
        elif proto.type_name.lstrip(".") in maps:
            odd = "a map"
        elif proto.json_name != json_name(proto.name):
            odd = "a json_name of its own"
        return Field(proto.name, proto.json_name, proto.number, KINDS[proto.type],
                     proto.label == PROTO.LABEL_REPEATED, proto.type_name.lstrip("."),
                     Limits(limits.max, limits.required, limits.format, limits.example), comment, odd)

    def read_enum(self, proto, scope, path):
        name = scope + "." + proto.name
        values = [(v.name, v.number, self.comment(*path, 2, i)) for i, v in enumerate(proto.value)]
        self.contract.enums[name] = Enum(name, values, self.comment(*path))

    def read_services(self):
        for i, service in enumerate(self.file.service):
            for j, method in enumerate(service.method):
                self.read_method(self.file.package + "." + service.name, method, j,
                                 self.comment(6, i, 2, j))

    def read_method(self, service, proto, index, comment):
        endpoint = proto.options.Extensions[self.options.endpoint]
        verb, _, path = endpoint.rest.partition(" ")
        self.contract.methods.append(Method(
            name=service + "/" + proto.name, service=service, index=index,
            input=self.contract.messages[proto.input_type.lstrip(".")],
            output=self.contract.messages[proto.output_type.lstrip(".")],
            comment=comment,
            streams=proto.client_streaming or proto.server_streaming,
            declared=proto.options.HasExtension(self.options.endpoint),
            verb=verb, path=path, command=endpoint.command,
            caller=self.options.Caller.Name(endpoint.caller),
            permission=self.options.Permission.Name(endpoint.permission).removeprefix("PERMISSION_"),
            rate=self.options.Rate.Name(endpoint.rate),
            idempotent=endpoint.idempotent,
            success=endpoint.success or HTTP_OK,
            body_max=endpoint.body_max,
            content=endpoint.content,
            summary=endpoint.summary,
            problems=list(endpoint.problems),
            deprecated=self.read_deprecation(endpoint)))

    @staticmethod
    def read_deprecation(endpoint):
        if not endpoint.HasField("deprecated"):
            return None
        told = endpoint.deprecated
        return Deprecation(told.since, told.sunset, told.successor)


def join_comments(location) -> str:
    """The lines above and behind a thing, as one text of sentences."""
    parts = [" ".join(text.split()) for text in (location.leading_comments, location.trailing_comments)]
    return " ".join(part for part in parts if part)


def read_contract(descriptors, options) -> Contract:
    contract = Contract()
    readers = [Reader(contract, file, options) for file in descriptors.file]
    for reader in readers:
        reader.read()
    for reader in readers:
        reader.read_services()
    contract.files.sort()
    contract.methods.sort(key=lambda m: m.name)
    contract.events.sort(key=lambda e: (e.channel, e.type))
    return contract
