"""A contract that contradicts itself does not build, and the message says where and what would be right."""

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
"""

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
    ("Good", "Empty", 'rest: "POST /api/v1/l" caller: SERVICE summary: "S."',
     "is for services and may not be on REST or the WebSocket"),
    ("Good", "Empty", 'rest: "POST /api/v1/m" permission: READ summary: "S."',
     "needs no permission: guests may call it"),
    ("Good", "Good", 'rest: "POST /api/v1/n" content: "text/plain" summary: "S."',
     "answers text/plain, so bad.Good must be empty"),
]

SERVICES = [
    ("rpc Undeclared(Good) returns (Empty);", "bad.Bad/Undeclared: has no (options.endpoint)"),
    ('rpc Switch(Good) returns (Empty) { option (options.endpoint) = {caller: SERVICE summary: "S."}; }',
     "bad.Bad/Switch: is a word of C or protobuf-c"),
    ('rpc Streams(Good) returns (stream Empty) { option (options.endpoint) = {caller: SERVICE summary: "S."}; }',
     "bad.Bad/Streams: streams; protobuf-c cannot"),
]


def generate(source):
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
        return done.returncode, done.stderr.decode().splitlines(), made


class TheGenerator(unittest.TestCase):
    def test_a_good_contract_is_written(self):
        status, lines, made = generate(HEAD + """service Fine { rpc Get(Good) returns (Empty) {
            option (options.endpoint) = {rest: "GET /api/v1/a/{orderId}" idempotent: true summary: "S."}; } }""")
        self.assertEqual((status, lines), (0, []))
        for name in ("contract_tables.c", "contract_documents.c", "openapi.json", "help.json", "tradepost.d.ts"):
            self.assertIn(name, made)

    def test_every_contradiction_is_found_and_nothing_is_written(self):
        methods = [f"rpc M{i}({request}) returns ({answer}) {{ option (options.endpoint) = {{{options}}}; }}"
                   for i, (request, answer, options, _) in enumerate(METHODS)]
        methods += [method for method, _ in SERVICES]
        source = HEAD + "\n".join(m for m, _ in MESSAGES) + "\nservice Bad {" + "\n".join(methods) + "}\n"
        status, lines, made = generate(source)
        self.assertEqual(status, 1)
        self.assertNotIn("contract_tables.c", made)
        expected = [finding for _, finding in MESSAGES + SERVICES if finding]
        expected += [row[3] for row in METHODS if row[3]]
        for finding in expected:
            self.assertTrue([line for line in lines if finding in line], f"{finding}\nis not in\n" + "\n".join(lines))
        for i, (_, _, _, finding) in enumerate(METHODS):
            named = [line for line in lines if f"bad.Bad/M{i}: " in line or line.endswith(f"bad.Bad/M{i}")]
            self.assertEqual(bool(named), finding is not None, f"M{i}: {named}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
