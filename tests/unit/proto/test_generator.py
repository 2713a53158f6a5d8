"""A contract that contradicts itself does not build, and the message says where and what would be right."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROTOC, IMPORTS = sys.argv[1:3]
SOURCES = pathlib.Path(__file__).resolve().parents[3] / "proto"

HEAD = """syntax = "proto3"; package bad;
import "options.proto"; import "google/protobuf/timestamp.proto";
message Good { string order_id = 1 [(options.limits) = {required: true}]; uint32 limit = 2; }
message Empty {}
option (options.problem) = {code: "no_luck" status: 422 meaning: "Try tomorrow."};
option (options.problem) = {code: "Upper" status: 422 meaning: "M."};
option (options.problem) = {code: "too_low" status: 200 meaning: "M."};
option (options.problem) = {code: "unclear" status: 422 meaning: "No stop"};
option (options.problem) = {code: "twice" status: 422 meaning: "M."};
option (options.problem) = {code: "twice" status: 422 meaning: "M."};
"""

GOOD_HEAD = HEAD[:HEAD.index("option (options.problem) = {code: \"Upper\"")]

# What is declared (a message or a method's options), and what the generator says about it.
MESSAGES = [
    ("message A { A again = 1; }", "bad.A: contains itself; a walk over it would have no end"),
    ("message B1 { B2 b = 1; } message B2 { repeated B1 b = 1; }", "bad.B2: contains itself"),
    ("message C { double price = 1; }", "bad.C.price: a float is no part of the contract"),
    ("message D { oneof x { string a = 1; } }", "bad.D.a: a oneof or proto3 optional is no part of the contract"),
    ("message E { map<string, string> m = 1; }", "bad.E.m: a map is no part of the contract"),
    ('message F { string a = 1 [json_name = "z"]; }', "bad.F.a: a json_name of its own is no part of the contract"),
    ('message G { string a = 1 [(options.limits) = {format: "colour"}]; }', 'bad.G.a: no such format "colour"'),
    ('message H { uint32 a = 1 [(options.limits) = {format: "id"}]; }', "bad.H.a: only strings have a format"),
    ("message I { bool a = 1 [(options.limits) = {max: 5}]; }", "bad.I.a: a bool has no max"),
    ('message J { string a = 1 [(options.limits) = {max: 2 example: "abc"}]; }',
     "bad.J.a: the example is longer than 2 bytes"),
    ('message K { string a = 1 [(options.limits) = {format: "number" example: "x"}]; }',
     "bad.K.a: the example is not a whole number"),
    ('message L { uint32 a = 1 [(options.limits) = {max: 5 example: "6"}]; }',
     "bad.L.a: the example is not a number within its max"),
    ("message M { string register = 1; }", "bad.M.register: is a word of C or protobuf-c"),
    ("message N { string base = 1; }", "bad.N.base: is a word of C or protobuf-c"),
    ("message O { " + " ".join(f"bool b{i} = {i};" for i in range(1, 66)) + " }", "bad.O: more than 64 fields"),
    ('message P { option (options.channel) = {name: "Prices" type: "a.b" topic: "t" summary: "S."}; }',
     'bad.P: channel "Prices" is not like "prices:{symbol}"'),
    ('message Q { option (options.channel) = {name: "a" type: "A" topic: "t" summary: "S."}; }',
     'bad.Q: type "A" is not like "order.filled"'),
    ('message R { option (options.channel) = {name: "b" type: "a.b" summary: "S."}; }',
     "bad.R: channel b needs a topic and a summary"),
    ('message S { option (options.channel) = {name: "c" type: "c" topic: "t" summary: "S."};'
     ' option (options.channel) = {name: "c" type: "c" topic: "t" summary: "S."}; }',
     "c c is the event of bad.S and of bad.S"),
    ('message Command { string command = 1; string msg_id = 2; } message Body { Good good = 1; }', None),
]

METHODS = [
    ("Good", "Empty", 'rest: "GET /api/v1/a/{orderid}" idempotent: true summary: "S."',
     "{orderid} of the path is no field of bad.Good"),
    ("Good", "Empty", 'rest: "GET /api/v1/b/{limit}" idempotent: true summary: "S."',
     "{limit} of the path must be required in bad.Good"),
    ("Body", "Empty", 'rest: "POST /api/v1/c/{good}" summary: "S."',
     "{good} of the path is not a string or integer in bad.Body"),
    ("Good", "Empty", 'rest: "PUT /api/v1/d/{orderId}/{orderId}" summary: "S."', "the path has a parameter twice"),
    ("Good", "Empty", 'rest: "FETCH /api/v1/e" summary: "S."', 'rest "FETCH /api/v1/e" is not a verb and a path below'),
    ("Good", "Empty", 'rest: "POST /v2/f" summary: "S."', 'rest "POST /v2/f" is not a verb and a path below'),
    ("Good", "Empty", 'rest: "POST /api/v1/Upper" summary: "S."', "is not lower-case words"),
    ("Good", "Empty", 'rest: "POST /api/v1/slash/" summary: "S."', "is not lower-case words"),
    ("Body", "Empty", 'rest: "GET /api/v1/g" idempotent: true summary: "S."',
     "bad.Body.good cannot be in a query, and a GET has no body"),
    ("Body", "Empty", 'rest: "DELETE /api/v1/g" summary: "S."',
     "bad.Body.good cannot be in a query, and a DELETE has no body"),
    ("Good", "Empty", 'rest: "GET /api/v1/h" summary: "S."', "is a GET and must be idempotent"),
    ("Good", "Empty", 'rest: "PATCH /api/v1/x/{orderId}" summary: "S."', None),
    ("Good", "Empty", 'rest: "PATCH /api/v1/x/{limit}" summary: "S."',
     "PATCH /api/v1/x/{} is the endpoint of bad.Bad/M11 and of bad.Bad/M12"),
    ("Good", "Empty", 'command: "same.name" summary: "S."', None),
    ("Good", "Empty", 'command: "same.name" summary: "S."', "same.name is the command of bad.Bad/M13 and of bad.Bad/M14"),
    ("Good", "Empty", 'command: "Upper" summary: "S."', 'command "Upper" is not like "orders.place"'),
    ("Command", "Empty", 'command: "a.b" summary: "S."',
     'the field "command" of bad.Command is taken by the WebSocket message around it'),
    ("Command", "Empty", 'command: "a.c" summary: "S."',
     'the field "msgId" of bad.Command is taken by the WebSocket message around it'),
    ("Good", "Empty", 'rest: "POST /api/v1/i"', "needs a summary, one sentence with its full stop"),
    ("Good", "Empty", 'rest: "POST /api/v1/j" summary: "No stop"', "needs a summary, one sentence with its full stop"),
    ("Good", "Empty", 'rest: "POST /api/v1/k" success: 302 summary: "S."', "success is 302"),
    ("Good", "Empty", 'rest: "POST /api/v1/k" body_max: 1048577 summary: "S."', "body_max is 1048577"),
    ("Good", "Empty", 'rest: "DELETE /api/v1/k" body_max: 1 summary: "S."', "no body"),
    ("Good", "Empty", 'command: "a.d" body_max: 1 summary: "S."', "no body"),
    ("Good", "Empty", 'rest: "POST /api/v1/l" caller: SERVICE summary: "S."',
     "is for services and may not be on REST or the WebSocket"),
    ("Good", "Empty", 'rest: "POST /api/v1/m" permission: READ summary: "S."',
     "needs no permission: guests may call it"),
    ("Good", "Good", 'rest: "POST /api/v1/n" content: "text/plain" summary: "S."',
     "answers text/plain, so bad.Good must be empty"),
    ("Good", "Empty", 'rest: "POST /api/v1/o" problems: "no_luck" summary: "S."', None),
    ("Good", "Empty", 'rest: "POST /api/v1/p" problems: "bad_luck" summary: "S."',
     'the problem "bad_luck" is not declared in its file'),
    ("Good", "Empty", 'rest: "POST /api/v1/q" problems: ["no_luck", "no_luck"] summary: "S."', "has a problem twice"),
    ("Good", "Empty", 'caller: SERVICE deprecated: {since: "2027-01-01" sunset: "2028-01-01"} summary: "S."',
     "is for services: nobody outside needs to be told"),
]

SERVICES = [
    ("rpc Undeclared(Good) returns (Empty);", "bad.Bad/Undeclared: has no (options.endpoint)"),
    ('rpc Switch(Good) returns (Empty) { option (options.endpoint) = {caller: SERVICE summary: "S."}; }',
     "bad.Bad/Switch: is a word of C or protobuf-c"),
    ('rpc Streams(Good) returns (stream Empty) { option (options.endpoint) = {caller: SERVICE summary: "S."}; }',
     "bad.Bad/Streams: streams; protobuf-c cannot"),
]


PROBLEMS = [
    'problem "Upper" of bad: is not like "insufficient_funds"',
    'problem "too_low" of bad: status is 200, not from 400 to 599',
    'problem "unclear" of bad: needs a meaning, one sentence with its full stop',
    "bad twice is the problem of bad and of bad",
]

# What a method says of its end, and what the generator says about it.
DEPRECATIONS = [
    ('since: "2027-01-01" sunset: "2027-06-30"', None),
    ('since: "2027-01-01" sunset: "2027-06-29"', "its sunset is less than 180 days after it was told"),
    ('since: "2027-01-01"', 'days are like "2026-01-31"'),
    ('since: "1.1.2027" sunset: "2028-01-01"', 'days are like "2026-01-31"'),
    ('since: "2027-01-01" sunset: "2028-01-01" successor: "ends.Ends/Stays"', None),
    ('since: "2027-01-01" sunset: "2028-01-01" successor: "ends.Ends/M0"',
     'its successor "ends.Ends/M0" is deprecated too'),
    ('since: "2027-01-01" sunset: "2028-01-01" successor: "ends.Ends/Inside"',
     'its successor "ends.Ends/Inside" is no public method'),
    ('since: "2027-01-01" sunset: "2028-01-01" successor: "ends.Ends/None"',
     'its successor "ends.Ends/None" is no public method'),
]
ENDS = """syntax = "proto3"; package ends; import "options.proto";
message Empty {}
message Id { string id = 1 [(options.limits) = {required: true}]; }
service Ends {
  rpc Stays(Empty) returns (Empty) { option (options.endpoint) = {rest: "GET /api/v1/stays" command: "stays"
    idempotent: true summary: "S."}; }
  rpc StaysWithId(Id) returns (Empty) { option (options.endpoint) = {rest: "GET /api/v1/stays/{id}"
    idempotent: true summary: "S."}; }
  rpc Inside(Empty) returns (Empty) { option (options.endpoint) = {caller: SERVICE summary: "S."}; }
"""


def ending(number, words, more=""):
    return f"""rpc M{number}(Empty) returns (Empty) {{ option (options.endpoint) = {{rest: "POST /api/v1/m{number}"
        command: "m.{chr(97 + number)}" summary: "Ends." deprecated: {{{words}}} {more}}}; }}"""


def generate(source, want=()):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        (out / "bad.proto").write_text(source, encoding="utf-8")
        paths = ["-I" + str(SOURCES), "-I" + IMPORTS, "-I" + folder]
        subprocess.run([PROTOC, *paths, "--include_imports", "--include_source_info",
                        f"--descriptor_set_out={out / 'set'}", out / "bad.proto"], check=True)
        subprocess.run([PROTOC, *paths, f"--python_out={folder}", SOURCES / "options.proto"], check=True)
        done = subprocess.run([sys.executable, SOURCES / "generate.py", "--descriptors", out / "set", "--out", folder],
                              stderr=subprocess.PIPE, check=False)
        made = sorted(path.name for path in out.iterdir())
        if want:
            return [(out / name).read_text(encoding="utf-8") for name in want]
        return done.returncode, done.stderr.decode().splitlines(), made


class TheGenerator(unittest.TestCase):
    def test_a_good_contract_is_written(self):
        status, lines, made = generate(GOOD_HEAD + """service Fine { rpc Get(Good) returns (Empty) {
            option (options.endpoint) = {rest: "GET /api/v1/a/{orderId}" idempotent: true problems: "no_luck" summary: "S."}; } }""")
        self.assertEqual((status, lines), (0, []))
        for name in ("contract_tables.c", "contract_documents.c", "openapi.json", "asyncapi.json", "help.json", "tradepost.d.ts"):
            self.assertIn(name, made)

    def test_every_contradiction_is_found_and_nothing_is_written(self):
        methods = [f"rpc M{i}({request}) returns ({answer}) {{ option (options.endpoint) = {{{options}}}; }}"
                   for i, (request, answer, options, _) in enumerate(METHODS)]
        methods += [method for method, _ in SERVICES]
        source = HEAD + "\n".join(m for m, _ in MESSAGES) + "\nservice Bad {" + "\n".join(methods) + "}\n"
        status, lines, made = generate(source)
        self.assertEqual(status, 1)
        self.assertNotIn("contract_tables.c", made)
        expected = [finding for _, finding in MESSAGES + SERVICES if finding] + PROBLEMS
        expected += [row[3] for row in METHODS if row[3]]
        for finding in expected:
            self.assertTrue([line for line in lines if finding in line], f"{finding}\nis not in\n" + "\n".join(lines))
        for i, (_, _, _, finding) in enumerate(METHODS):
            named = [line for line in lines if f"bad.Bad/M{i}: " in line or line.endswith(f"bad.Bad/M{i}")]
            self.assertEqual(bool(named), finding is not None, f"M{i}: {named}")

    def test_an_end_is_told_in_time_and_by_a_successor_that_stays(self):
        status, lines, _ = generate(ENDS + "".join(ending(i, words) for i, (words, _) in enumerate(DEPRECATIONS)) + "}")
        self.assertEqual(status, 1)
        for i, (_, finding) in enumerate(DEPRECATIONS):
            named = [line for line in lines if f"ends.Ends/M{i}: " in line]
            self.assertEqual([finding in line for line in named], [True] if finding else [], f"M{i}: {named}")

    def test_an_end_is_in_the_tables_and_in_every_document(self):
        words = 'since: "2027-01-01" sunset: "2027-07-01"'
        tables, openapi, asyncapi, help_data, types = generate(
            ENDS + ending(0, words + ' successor: "ends.Ends/Stays"') + ending(1, words)
            + ending(2, words + ' successor: "ends.Ends/StaysWithId"') + "}",
            ("contract_tables.c", "openapi.json", "asyncapi.json", "help.json", "tradepost.d.ts"))
        page, policy = "/docs/m0", '</docs/versioning>; rel=\\"deprecation\\"; type=\\"text/html\\"'
        for text in ('.deprecation = "@1798761600"', '.sunset = "Thu, 01 Jul 2027 00:00:00 GMT"',
                     f'.link = "{policy}, </api/v1/stays>; rel=\\"successor-version\\""', f'.link = "{policy}"',
                     f'.link = "{policy}, </docs/stays-with-id>; rel=\\"successor-version\\""',
                     r'\"since\":\"2027-01-01\",\"sunset\":\"2027-07-01\",\"successor\":\"stays\"'):
            self.assertIn(text, tables)
        paths = json.loads(openapi)["paths"]
        self.assertTrue(paths["/api/v1/m0"]["post"]["deprecated"])
        self.assertNotIn("deprecated", paths["/api/v1/stays"]["get"])
        operations = json.loads(asyncapi)["operations"]
        self.assertTrue(operations["m0"]["x-deprecated"])
        self.assertNotIn("x-deprecated", operations["stays"])
        told = {o["operation"]: o["deprecated"] for o in json.loads(help_data)["operations"]}
        self.assertEqual(told["m0"], {"since": "2027-01-01", "sunset": "2027-07-01", "successor": "stays", "link": page})
        self.assertIsNone(told["stays"])
        said = "Since 2027-01-01; may be gone from 2027-07-01. Use stays instead."
        self.assertIn(f"@deprecated {said}", types)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
