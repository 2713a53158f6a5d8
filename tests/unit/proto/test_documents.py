"""Nothing reachable is missing from a document, and nothing documented is missing from the contract.

The truth here is read from the .proto files by another way than the generator's: protoc's own text form of
the descriptors. Compared with it, both ways: the C tables, the OpenAPI document, the help data, the types.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROTOC, IMPORTS, DOCUMENTS, DUMP = sys.argv[1:5]
SOURCES = pathlib.Path(__file__).resolve().parents[3] / "proto"
FORMATS = ["", "asset", "decimal", "email", "id", "key", "number", "password", "symbol", "symbols", "username"]


# ---- the truth ----

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|[^\s{}"]+')


def parse_text(text):
    """Protobuf's text format, as nested lists: name -> [values]."""
    tokens = iter(TOKEN.findall(text))

    def block():
        found = {}
        for token in tokens:
            if token == "}":
                return found
            if token.endswith(":"):
                value = next(tokens)
                if value.startswith('"'):
                    value = value[1:-1].encode().decode("unicode_escape").encode("latin-1").decode()
                found.setdefault(token[:-1], []).append(value)
            else:
                assert next(tokens) == "{"
                found.setdefault(token, []).append(block())
        return found

    return block()


def only(block, name, default=""):
    return block.get(name, [default])[0]


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def read_truth():
    protos = sorted(str(path) for path in SOURCES.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        packed = pathlib.Path(folder) / "set"
        paths = ["-I" + str(SOURCES), "-I" + IMPORTS]
        subprocess.run([PROTOC, *paths, "--include_imports", f"--descriptor_set_out={packed}", *protos], check=True)
        text = subprocess.run(
            [PROTOC, *paths, "--decode=google.protobuf.FileDescriptorSet", str(SOURCES / "options.proto")],
            input=packed.read_bytes(), stdout=subprocess.PIPE, check=True).stdout.decode()
    methods, messages, enums, events, problems = {}, {}, {}, [], {}
    for file in parse_text(text)["file"]:
        package = only(file, "package")
        if package != "google.protobuf":
            read_file(file, package, methods, messages, enums, events)
            problems[package] = {only(p, "code"): int(only(p, "status")) for options in file.get("options", [])
                                 for p in options.get("[options.problem]", [])}
    return methods, messages, enums, events, problems


def read_file(file, package, methods, messages, enums, events):
    for message in file.get("message_type", []):
        name = package + "." + only(message, "name")
        messages[name] = {only(f, "name"): read_field(f) for f in message.get("field", [])}
        for options in message.get("options", []):
            for channel in options.get("[options.channel]", []):
                events.append((only(channel, "name"), only(channel, "type"), only(channel, "topic"), name,
                               only(channel, "caller", "GUEST")))
    for enum in file.get("enum_type", []):
        enums[package + "." + only(enum, "name")] = [only(value, "name") for value in enum["value"]]
    for service in file.get("service", []):
        for method in service["method"]:
            name = f'{package}.{only(service, "name")}/{only(method, "name")}'
            methods[name] = read_method(method)


def read_method(method):
    endpoint = only(only(method, "options"), "[options.endpoint]")
    verb, _, path = only(endpoint, "rest").partition(" ")
    return {
        "input": only(method, "input_type")[1:], "output": only(method, "output_type")[1:],
        "verb": verb or None, "path": path or None, "command": only(endpoint, "command") or None,
        "content": only(endpoint, "content") or None, "caller": only(endpoint, "caller", "GUEST"),
        "permission": only(endpoint, "permission", "NONE").replace("PERMISSION_", ""),
        "rate": only(endpoint, "rate", "DEFAULT"), "idempotent": only(endpoint, "idempotent") == "true",
        "body_max": int(only(endpoint, "body_max", "0")),
        "success": int(only(endpoint, "success", "200")), "summary": only(endpoint, "summary"),
        "problems": endpoint.get("problems", []), "deprecated": only(endpoint, "deprecated", None),
    }


def read_field(field):
    limits = only(only(field, "options", {}), "[options.limits]", {})
    return {
        "type": only(field, "type"), "of": only(field, "type_name")[1:],
        "repeated": only(field, "label") == "LABEL_REPEATED", "max": int(only(limits, "max", "0")),
        "required": only(limits, "required") == "true", "format": only(limits, "format"),
    }


METHODS, MESSAGES, ENUMS, EVENTS, PROBLEMS = read_truth()
PUBLIC = {name: m for name, m in METHODS.items() if m["verb"] or m["command"]}
TABLES = json.loads(subprocess.run([DUMP], stdout=subprocess.PIPE, check=True).stdout)


def document(name):
    return pathlib.Path(DOCUMENTS, name).read_text(encoding="utf-8")


def short(name):
    return name.rsplit(".", 1)[1]


def public_messages():
    queue = [m["input"] for m in PUBLIC.values()] + [m["output"] for m in PUBLIC.values() if not m["content"]]
    queue += [event[3] for event in EVENTS]
    found = set()
    while queue:
        name = queue.pop()
        if name in MESSAGES and name not in found:
            found.add(name)
            queue += [field["of"] for field in MESSAGES[name].values()]
    return found


def public_enums():
    return {f["of"] for m in public_messages() for f in MESSAGES[m].values() if f["of"] in ENUMS}


class TheTruth(unittest.TestCase):
    def test_there_is_something_to_compare(self):
        self.assertGreater(len(PUBLIC), 30)
        self.assertGreater(len(EVENTS), 5)
        self.assertIn("trading.Trading/PlaceOrder", METHODS)
        self.assertTrue(MESSAGES["trading.PlaceOrderRequest"]["symbol"]["required"])


class TheTables(unittest.TestCase):
    def test_methods_are_the_same(self):
        self.assertEqual({m["name"] for m in TABLES["methods"]}, set(METHODS))
        for m in TABLES["methods"]:
            self.assertEqual(m["name"], m["service"] + "/" + m["method"])
            truth = {key: value for key, value in METHODS[m["name"]].items() if key not in ("problems", "deprecated")}
            self.assertEqual({key: m[key] for key in truth}, truth, m["name"])
            self.assertEqual(bool(m["deprecated"]), bool(METHODS[m["name"]]["deprecated"]), m["name"])

    def test_events_are_the_same(self):
        told = [(e["channel"], e["type"], e["topic"], e["payload"], e["caller"]) for e in TABLES["events"]]
        self.assertEqual(sorted(told), sorted(EVENTS))

    def test_limits_are_the_same(self):
        self.assertEqual(set(TABLES["limits"]), set(MESSAGES) | {"google.protobuf.Timestamp"})
        for name, fields in MESSAGES.items():
            self.assertEqual(set(TABLES["limits"][name]), set(fields))
            for field, truth in fields.items():
                told = TABLES["limits"][name][field]
                self.assertEqual(told["required"], truth["required"], f"{name}.{field}")
                self.assertEqual(FORMATS[told["format"]], truth["format"], f"{name}.{field}")
                self.assertEqual(told["message"], truth["of"] if truth["type"] == "TYPE_MESSAGE" else "")
                if truth["repeated"]:
                    self.assertEqual(told["items"], truth["max"] or 100, f"{name}.{field}")
                elif truth["type"] in ("TYPE_STRING", "TYPE_BYTES"):
                    self.assertEqual(told["size"], truth["max"] or 256, f"{name}.{field}")
                elif truth["type"] not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_BOOL"):
                    self.assertEqual(told["value"], truth["max"], f"{name}.{field}")


class TheOpenApiDocument(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = json.loads(document("openapi.json"))
        cls.operations = {(verb.upper(), path): operation
                          for path, item in cls.document["paths"].items() for verb, operation in item.items()}

    def resolve(self, schema):
        while "$ref" in schema:
            place = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                place = place[step]
            schema = place
        return schema

    def test_paths_are_the_same(self):
        self.assertEqual(set(self.operations), {(m["verb"], m["path"]) for m in PUBLIC.values() if m["verb"]})

    def test_every_field_of_a_request_has_one_place(self):
        for name, m in PUBLIC.items():
            if not m["verb"]:
                continue
            operation = self.operations[m["verb"], m["path"]]
            parameters = [self.resolve(p) for p in operation["parameters"]]
            told = [p["name"] for p in parameters if p["in"] in ("path", "query")]
            if "requestBody" in operation:
                body = self.resolve(operation["requestBody"]["content"]["application/json"]["schema"])
                told += list(body["properties"])
            self.assertEqual(sorted(told), sorted(map(camel, MESSAGES[m["input"]])), name)
            in_path = {p["name"] for p in parameters if p["in"] == "path"}
            self.assertEqual(in_path, set(re.findall(r"\{(\w+)\}", m["path"])), name)

    def test_who_may_call_is_told(self):
        for m in PUBLIC.values():
            if m["verb"]:
                told = [next(iter(s)) for s in self.operations[m["verb"], m["path"]]["security"]]
                guest, session_only = m["caller"] == "GUEST", m["permission"] == "NONE"
                self.assertEqual(told, [] if guest else ["bearer"] if session_only else ["bearer", "apiKey"])

    def test_answers_are_the_same(self):
        for name, m in PUBLIC.items():
            if not m["verb"]:
                continue
            responses = self.operations[m["verb"], m["path"]]["responses"]
            self.assertEqual([s for s in responses if s.startswith("2")], [str(m["success"])], name)
            content = responses[str(m["success"])]["content"]
            self.assertEqual(list(content), [m["content"] or "application/json"], name)
            if not m["content"]:
                self.assertEqual(content["application/json"]["schema"]["$ref"],
                                 "#/components/schemas/" + short(m["output"]))

    def test_how_long_a_body_may_be_is_told(self):
        for m in PUBLIC.values():
            if m["body_max"]:
                body = self.operations[m["verb"], m["path"]]["requestBody"]
                self.assertEqual(body["description"], f'At most {m["body_max"]} bytes.')

    def test_schemas_have_the_same_fields_and_values(self):
        schemas = dict(self.document["components"]["schemas"])
        for name in ("Problem", "ProblemField"):
            del schemas[name]
        truth = {short(n): set(map(camel, MESSAGES[n])) for n in public_messages()}
        values = {short(n): ENUMS[n] for n in public_enums()}
        for name, schema in schemas.items():
            if "enum" in schema:
                self.assertEqual(schema["enum"], values[name])
            else:
                self.assertEqual(set(schema["properties"]), truth[name], name)

    def test_no_internal_name_leaks(self):
        text = json.dumps(self.document)
        for name in set(MESSAGES) - public_messages():
            self.assertNotIn(f'"#/components/schemas/{short(name)}"', text)


class TheAsyncApiDocument(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = json.loads(document("asyncapi.json"))
        cls.operations = cls.document["operations"]
        cls.messages = cls.document["components"]["messages"]

    def name(self, reference):
        return reference["$ref"].rsplit("/", 1)[1]

    def test_commands_are_the_same_with_their_fields_and_answers(self):
        told = {o["title"]: o for o in self.operations.values() if o["action"] == "send"}
        truth = {m["command"]: m for m in METHODS.values() if m["command"]}
        self.assertEqual(set(told), set(truth))
        for command, m in truth.items():
            sent = self.messages[self.name(told[command]["messages"][0])]
            fields = set(map(camel, MESSAGES[m["input"]]))
            self.assertEqual(set(sent["payload"]["properties"]) - {"command", "msgId"}, fields, command)
            self.assertEqual(sent["payload"]["properties"]["command"], {"const": command})
            answers = [self.name(a) for a in told[command]["reply"]["messages"]]
            self.assertEqual(answers[1], "error")
            result = self.messages[answers[0]]["payload"]["properties"]["result"]
            expected = {"type": "object"} if m["content"] else {"$ref": "#/components/schemas/" + short(m["output"])}
            self.assertEqual(result, expected, command)
            self.assertEqual("security" in told[command], m["caller"] != "GUEST", command)

    def test_channels_and_events_are_the_same(self):
        told = set()
        for channel in self.document["channels"].values():
            for name in channel["messages"]:
                payload = self.messages[name]["payload"]["properties"]
                if "data" in payload:
                    told.add((channel["address"], payload["type"]["const"], self.name(payload["data"])))
            parameters = set(re.findall(r"\{(\w+)\}", channel["address"]))
            self.assertEqual(set(channel.get("parameters", {})), parameters)
        self.assertEqual(told, {(name, type_, short(payload)) for name, type_, _, payload, _ in EVENTS})
        received = {o["title"] for o in self.operations.values() if o["action"] == "receive"}
        self.assertEqual(received, {event[0] for event in EVENTS})

    def test_every_message_and_schema_is_used(self):
        used = json.dumps(self.document)
        for kind in ("messages", "schemas"):
            for name in self.document["components"][kind]:
                self.assertIn(f'"#/components/{kind}/{name}"', used)

    def test_every_message_has_an_example(self):
        for name, message in self.messages.items():
            self.assertTrue(message["examples"][0]["payload"], name)


class TheProblems(unittest.TestCase):
    """The words that the code says are those of the contract, with their status."""

    ROOT = SOURCES.parent
    SAID = re.compile(r'(?:rpc_fail_reason|pending_refuse|fail_text)\([^;]*?(ERR_[A-Z]+|\be\b), *"([a-z_]+)"', re.S)
    ROW = re.compile(r'X\((?:REFUSED|LEDGER)_[A-Z_]+,\s*(ERR_[A-Z_]+),\s*"([a-z_]+)"')
    INTERNAL = {"hold_not_found", "settlement_gap", "unbalanced", "asset_fixed", "market_rules"}  # no method of clients

    @classmethod
    def setUpClass(cls):
        table = (cls.ROOT / "base/err.h").read_text(encoding="utf-8")
        rows = re.findall(r'X\((ERR_[A-Z_]+),\s*GRPC_[A-Z_]+,\s*(\d+),\s*\w+,\s*"(\w+)"', table)
        cls.status = {name: int(status) for name, status, _ in rows}
        cls.words = {word: int(status) for _, status, word in rows}

    def said(self, folder):
        for path in sorted((self.ROOT / folder).rglob("*.[ch]")):
            text = path.read_text(encoding="utf-8")
            for error, word in self.SAID.findall(text) + self.ROW.findall(text):
                yield word, self.status.get(error)

    def test_what_every_method_may_answer_has_the_status_of_err_h(self):
        for word, status in self.words.items():
            self.assertEqual(PROBLEMS["gateway"].get(word), status, word)

    def test_what_a_part_says_is_declared_in_its_file_and_the_other_way_round(self):
        for part in ("users", "wallet", "trading"):
            said = [(word, status) for word, status in self.said(f"services/{part}") if word not in self.INTERNAL]
            self.assertEqual({word for word, _ in said}, set(PROBLEMS[part]), part)
            for word, status in said:
                self.assertIn(status, (None, PROBLEMS[part][word]), word)

    def test_what_the_gateway_says_is_declared(self):
        said = {word for word, _ in self.said("gateway")}
        for path in (self.ROOT / "gateway").rglob("*.c"):
            text = path.read_text(encoding="utf-8")
            said |= set(re.findall(r'http_problem_status\([^;]*?\d{3}, *"([a-z_]+)"', text, re.S))
        self.assertGreater(len(said), 10)
        self.assertLessEqual(said, set(PROBLEMS["gateway"]))

    def test_every_declared_word_is_some_methods(self):
        for part, codes in PROBLEMS.items():
            used = {code for name, m in METHODS.items() if name.startswith(part + ".") for code in m["problems"]}
            self.assertLessEqual(used, set(codes), part)
            if part != "gateway":
                self.assertEqual(used, set(codes), part)


class TheHelp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.help = json.loads(document("help.json"))

    def test_operations_are_the_same(self):
        told = {o["method"]: o for o in self.help["operations"]}
        self.assertEqual(set(told), set(PUBLIC))
        for name, m in PUBLIC.items():
            for key in ("verb", "path", "command", "caller", "permission", "rate", "idempotent", "success"):
                self.assertEqual(told[name][key], m[key], name)
            self.assertTrue(told[name]["description"].startswith(m["summary"]), name)
            self.assertEqual(told[name]["bodyMax"], m["body_max"] or None, name)
            self.assertEqual(told[name]["result"], None if m["content"] else short(m["output"]))

    def test_parameters_are_the_same(self):
        for operation in self.help["operations"]:
            fields = MESSAGES[PUBLIC[operation["method"]]["input"]]
            self.assertEqual([p["name"] for p in operation["parameters"]], list(map(camel, fields)))
            for parameter, field in zip(operation["parameters"], fields.values()):
                self.assertEqual(parameter["required"], field["required"])
                self.assertEqual(parameter["format"], field["format"] or None)
                if field["max"]:
                    self.assertEqual(parameter["max"], field["max"])

    def test_channels_are_the_same(self):
        told = {(c["name"], e["type"], e["payload"], c["caller"]) for c in self.help["channels"] for e in c["events"]}
        self.assertEqual(told, {(name, type_, short(payload), caller) for name, type_, _, payload, caller in EVENTS})

    def test_types_are_the_same(self):
        told = {t["name"]: [f["name"] for f in t["fields"]] for t in self.help["types"]}
        self.assertEqual(told, {short(n): list(map(camel, MESSAGES[n])) for n in public_messages()})
        told = {e["name"]: [v["name"] for v in e["values"]] for e in self.help["enums"]}
        self.assertEqual(told, {short(n): ENUMS[n] for n in public_enums()})


class TheTypes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        text = re.sub(r"/\*\*.*?\*/", "", document("tradepost.d.ts"))
        cls.interfaces = {}
        for name, body in re.findall(r"export interface (\w+) \{\n(.*?)^\}", text, re.S | re.M):
            cls.interfaces[name] = re.findall(r'^  "?([^"?:\n]+?)"?\??: (.*);$', body, re.M)
        cls.unions = {name: re.findall(r'"(\w+)"', body)
                      for name, body in re.findall(r"export type (\w+) =\n(.*?);\n", text, re.S)}

    def test_interfaces_have_the_same_fields(self):
        for name in public_messages():
            self.assertEqual([f for f, _ in self.interfaces[short(name)]], list(map(camel, MESSAGES[name])), name)

    def test_enums_have_the_same_values(self):
        enums = {short(n): ENUMS[n] for n in public_enums()}
        self.assertEqual(self.unions, enums | {"ErrorCode": sorted({code for codes in PROBLEMS.values() for code in codes})})

    def test_there_is_no_other_interface(self):
        frames = {"Endpoints", "Commands", "Events", "AnswerPart", "CommandError", "DeprecationNotice", "FieldError",
                  "EventMessage<E extends keyof Events>", "Resync", "Problem"}
        self.assertEqual(set(self.interfaces) - frames, {short(n) for n in public_messages()})

    def test_commands_and_endpoints_are_the_same(self):
        def told(name):
            return {key: tuple(re.findall(r"(?:request|response): (\w+)", value))
                    for key, value in re.findall(r'"([^"]+)": (\{.*\});', self.text_of(name))}

        def truth(m):
            raw = "unknown" if m["content"] == "application/json" else "string"
            return short(m["input"]), raw if m["content"] else short(m["output"])

        self.assertEqual(told("Commands"), {m["command"]: truth(m) for m in PUBLIC.values() if m["command"]})
        self.assertEqual(told("Endpoints"),
                         {f'{m["verb"]} {m["path"]}': truth(m) for m in PUBLIC.values() if m["verb"]})

    def test_events_are_the_same(self):
        told = set(re.findall(r'^  "([^"]+)": \{ channel: .*; data: (\w+) \};$', self.text_of("Events"), re.M))
        self.assertEqual(told, {(type_, short(payload)) for _, type_, _, payload, _ in EVENTS})

    def text_of(self, name):
        return re.search(rf"export interface {name} \{{\n(.*?)^\}}", document("tradepost.d.ts"), re.S | re.M).group(1)


class Formats(unittest.TestCase):
    def test_the_patterns_accept_what_the_table_says(self):
        """The same table that test_contract.c checks the C code with."""
        sys.path.insert(0, str(SOURCES))
        from gen.formats import FORMATS as kinds  # pylint: disable=import-outside-toplevel
        rows = pathlib.Path("data/proto/formats.txt").read_text(encoding="utf-8").splitlines()
        for kind, text, verdict in (row.split() for row in rows if not row.startswith("#")):
            kind = kinds[kind]
            fine = len(text.encode()) >= kind.min_length and re.search(kind.pattern, text, re.A) is not None
            self.assertEqual(fine, verdict == "ok", f"{kind} {text}")
        self.assertEqual(sorted(kinds), FORMATS[1:])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
