"""How a method is called, in three ways that run as they stand: curl, the WebSocket, the JavaScript client."""

import json
from urllib.parse import quote, urlencode

from gen.problems import takes_key
from gen.text import message_example, request_example

ORIGIN = "https://localhost:3333"  # the pages' script puts their own in its place
MSG_ID = "1"
TOKEN = "-H \"Authorization: Bearer $TOKEN\""


def pretty(value) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def answer_example(contract, method):
    """None: the answer is no JSON message."""
    return None if method.content else message_example(contract, method.output)


def split_request(contract, method) -> tuple:
    """The values of the path, and of what is beside it."""
    example = request_example(contract, method.input.fields)
    if uses_cookie(method.input):  # the refresh token comes with the cookie
        example.pop("refreshToken", None)
    path = {name: example.pop(name) for name in method.path_params}
    return path, example


def uses_cookie(message) -> bool:
    """Its refresh token comes or goes in a cookie; on the WebSocket it is a field."""
    return message.field("refreshToken") is not None


def lives_by_cookie(method) -> bool:
    """It is about nothing but the refresh token."""
    return uses_cookie(method.input) and len(method.input.fields) == 1


def address(contract, method) -> str:
    path, rest = split_request(contract, method)
    ret = method.path
    for name, value in path.items():
        ret = ret.replace("{" + name + "}", quote(str(value), safe=""))
    if not method.has_body and rest:
        flat = {name: ",".join(value) if isinstance(value, list) else value for name, value in rest.items()}
        ret += "?" + urlencode(flat, safe=":,")
    return ret


def shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def curl(contract, method) -> str:
    """A command line; "" if the method is not on REST."""
    if not method.verb:
        return ""
    words = ["curl"]
    if method.content == "text/event-stream":
        words.append("-N")
    if method.verb != "GET":
        words.append(f"-X {method.verb}")
    lines = [" ".join(words + [shell(ORIGIN + address(contract, method))])]
    if method.caller != "GUEST":
        lines.append(TOKEN)
    if lives_by_cookie(method):
        lines.append("-b cookies.txt")
    if uses_cookie(method.output) or lives_by_cookie(method):
        lines.append("-c cookies.txt")
    if takes_key(method):
        lines.append(f"-H 'Idempotency-Key: {method.operation}-1'")
    if method.has_body:
        lines.append("-H 'Content-Type: application/json'")
        lines.append("-d " + shell(pretty(split_request(contract, method)[1])))
    return " \\\n  ".join(lines)


def websocket(contract, method) -> tuple:
    """What is sent and what comes back, as objects; None if the method is no command."""
    if not method.command:
        return None
    sent = {"command": method.command, "msgId": MSG_ID} | request_example(contract, method.input.fields)
    if lives_by_cookie(method):
        sent["refreshToken"] = "$REFRESH_TOKEN"
    result = answer_example(contract, method)
    return sent, {"msgId": MSG_ID, "ok": True, "result": {} if result is None else result}


def javascript_object(value, indent: str = "") -> str:
    """As people write it: names without quotes."""
    deeper = indent + "  "
    if isinstance(value, dict):
        if not value:
            return "{}"
        lines = [f"{deeper}{name}: {javascript_object(item, deeper)}," for name, item in value.items()]
        return "{\n" + "\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list):
        return "[" + ", ".join(javascript_object(item, indent) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def javascript(contract, method) -> str:
    example = request_example(contract, method.input.fields)
    example.pop("refreshToken", None)
    if method.content == "text/event-stream":
        channels = json.dumps(example["channels"])
        return f"tradepost.stream({channels}, {{\n  event(event) {{ console.log(event.type, event.data); }},\n}});"
    how = "call" if method.verb else "command"
    name = method.command or f"{method.verb} {method.path}"
    arguments = json.dumps(name) + (f", {javascript_object(example)}" if example else "")
    return f"const answer = await tradepost.{how}({arguments});"
