"""contract_tables.c: what proto/contract.h and proto/contract_tables.h declare."""

import json
import re

from gen.deprecation import notice
from gen.model import TIMESTAMP

HEAD = """/* Written by proto/generate.py from proto/<file>.proto: do not edit. */
"""


def c_name(full_name: str) -> str:
    """protoc-c's own rule: "trading.PlaceOrderRequest" -> "trading__place_order_request"."""
    parts = [re.sub(r"(?<=[^A-Z])([A-Z])", r"_\1", part).lower() for part in full_name.split(".")]
    return "__".join(parts)


def c_string(text) -> str:
    return json.dumps(text) if text else "NULL"


def c_bytes(data: bytes, line: int = 100):
    """The lines of a string literal of these bytes, octal where a letter would not do."""
    def letter(byte):
        if byte in b'"\\?':
            return f"\\{byte:03o}"
        return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"

    for start in range(0, len(data), line):
        yield '    "' + "".join(letter(b) for b in data[start:start + line]) + '"'


def write_tables(contract, packed: bytes) -> str:
    headers = sorted(contract.files) + ["google/protobuf/timestamp.proto"]
    lines = [HEAD]
    lines += [f'#include "{name.removesuffix(".proto")}.pb-c.h"' for name in headers]
    lines += ['#include "proto/contract_tables.h"', ""]
    lines += limits_tables(contract)
    lines += method_tables(contract)
    lines += event_table(contract)
    lines += ["const uint8_t contract_descriptors[] =", *c_bytes(packed)]
    lines[-1] += ";"
    lines += ["const size_t contract_descriptors_size = sizeof contract_descriptors - 1;", ""]
    return "\n".join(lines)


def limits_tables(contract):
    messages = [contract.messages[name] for name in sorted(contract.messages)]
    index = {message.name: i for i, message in enumerate(messages)}
    for message in messages:
        if not message.fields:
            continue
        yield f"static const struct contract_limit {c_name(message.name)}_limits[] = {{"
        for field in message.fields:
            nested = f"&contract_limits[{index[field.type]}]" if field.kind == "message" else "NULL"
            yield (f"    {{{field.size_max}, {field.items_max}, {field.value_max}, "
                   f"{str(field.limits.required).lower()}, FORMAT_{(field.limits.format or 'none').upper()}, "
                   f"{nested}}}, /* {field.name} */")
        yield "};"
    yield ""
    yield "const struct contract_limits contract_limits[] = {"
    for message in messages:
        fields = f"{c_name(message.name)}_limits" if message.fields else "NULL"
        yield f"    {{&{c_name(message.name)}__descriptor, {fields}}},"
    yield "};"
    yield f"const size_t contract_limits_count = {len(messages)};"
    yield ""


def method_tables(contract):
    yield "const struct contract_method contract_methods[] = {"
    for m in contract.methods:
        yield "    {"
        yield f"        .name = {c_string(m.name)},"
        yield f"        .service = &{c_name(m.service)}__descriptor,"
        yield f"        .index = {m.index},"
        yield f"        .input = &{c_name(m.input.name)}__descriptor,"
        yield f"        .output = &{c_name(m.output.name)}__descriptor,"
        yield f"        .verb = {c_string(m.verb)},"
        yield f"        .path = {c_string(m.path)},"
        yield f"        .command = {c_string(m.command)},"
        yield f"        .caller = CALLER_{m.caller},"
        yield f"        .permission = PERMISSION_{m.permission},"
        yield f"        .rate = RATE_{m.rate},"
        yield f"        .idempotent = {str(m.idempotent).lower()},"
        yield f"        .local = {str(m.local).lower()},"
        yield f"        .success = {m.success},"
        yield f"        .body_max = {m.body_max},"
        yield f"        .content = {c_string(m.content)},"
        yield f"        .summary = {c_string(m.summary)},"
        if m.deprecated:
            yield "        .deprecated = &(const struct contract_deprecation){"
            yield from (f"            .{name} = {c_string(text)}," for name, text in notice(contract, m).items())
            yield "        },"
        yield "    },"
    yield "};"
    yield f"const size_t contract_method_count = {len(contract.methods)};"
    yield ""
    commands = sorted((m.command, i) for i, m in enumerate(contract.methods) if m.command)
    yield "const uint16_t contract_commands[] = {"
    for command, i in commands:
        yield f"    {i}, /* {command} */"
    yield "};"
    yield f"const size_t contract_command_count = {len(commands)};"
    yield ""


def event_table(contract):
    yield "const struct contract_event contract_events[] = {"
    for e in contract.events:
        yield (f"    {{{c_string(e.channel)}, {c_string(e.type)}, {c_string(e.topic)},\n"
               f"     &{c_name(e.payload.name)}__descriptor, CALLER_{e.caller}, DELIVERY_{e.delivery},\n"
               f"     {c_string(e.summary)}}},")
    yield "};"
    yield f"const size_t contract_event_count = {len(contract.events)};"
    yield ""


def write_pages(site: dict) -> str:
    """The help site: contract_pages, sorted by name."""
    lines = [HEAD, '#include "proto/contract.h"', "", "const struct contract_page contract_pages[] = {"]
    for name, file in sorted(site.items()):
        body = file.text.encode()
        lines += [f'    {{"{name}", "{file.type}", {len(body)}, {str(file.immutable).lower()},', *c_bytes(body)]
        lines[-1] += "},"
    return "\n".join(lines + ["};", f"const size_t contract_page_count = {len(site)};", ""])


def write_documents(documents: dict) -> str:
    """Texts to embed: name -> text."""
    lines = [HEAD, '#include "proto/contract.h"', ""]
    for name, text in documents.items():
        lines += [f"const char {name}[] =", *c_bytes(text.encode())]
        lines[-1] += ";"
        lines += [f"const size_t {name}_size = sizeof {name} - 1;", ""]
    return "\n".join(lines)
