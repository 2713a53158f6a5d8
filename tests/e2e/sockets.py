"""Clients of the event side, all written elsewhere: python3-websocket, python3-websockets, curl, npm's ws."""

import json
import subprocess
import threading

import websocket

TIMEOUT_S = 10


class Closed(Exception):
    def __init__(self, code):
        self.code = code
        super().__init__(f"closed with {code}")


class CommandFailed(Exception):
    def __init__(self, error):
        self.error, self.code = error, error["code"]
        super().__init__(f"{error}")


class Socket:
    """A WebSocket connection: commands by msgId, events as they come (python3-websocket)."""

    def __init__(self, url, user=None, headers=None):
        self.ws = websocket.create_connection(url, timeout=TIMEOUT_S, header=headers or [])
        self.number, self.events, self.pieces = 0, [], {}
        if user:
            self.command("authenticate", token=user.token)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.close(timeout=1)

    def send(self, message):
        self.ws.send(json.dumps(message))

    def receive(self):
        """The next message, put together if it came in parts; Closed with its code at the end."""
        while True:
            opcode, data = self.ws.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise Closed(int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005)
            message = json.loads(data)
            if "parts" not in message:
                return message
            pieces = self.pieces.setdefault(message["msgId"], [])
            pieces.append(message)
            if len(pieces) == message["parts"]:
                assert [p["part"] for p in pieces] == list(range(1, len(pieces) + 1))
                return json.loads("".join(p["data"] for p in self.pieces.pop(message["msgId"])))

    def answer(self, msg_id):
        while True:
            message = self.receive()
            if message.get("msgId") == msg_id:
                return message
            assert "channel" in message, message
            self.events.append(message)

    def command(self, name, **parameters):
        self.number += 1
        msg_id = str(self.number)
        self.send({"command": name, "msgId": msg_id, **parameters})
        answer = self.answer(msg_id)
        if not answer["ok"]:
            assert {"code", "message", "temporary"} <= answer["error"].keys()
            raise CommandFailed(answer["error"])
        return answer["result"]

    def subscribe(self, *channels, since=None):
        more = {"since": since} if since else {}
        return self.command("subscribe", channels=list(channels), **more)["items"]

    def event(self):
        if self.events:
            return self.events.pop(0)
        message = self.receive()
        assert "channel" in message, message
        return message

    def until(self, condition):
        """The events up to the one that meets the condition."""
        seen = []
        while not seen or not condition(seen[-1]):
            seen.append(self.event())
        return seen

    def close_code(self):
        """Reads on until the other side closes."""
        try:
            while True:
                self.receive()
        except Closed as closed:
            return closed.code


class Stream:
    """Server-sent events, by curl."""

    def __init__(self, url, *channels, last_event_id=None, token=None):
        command = ["curl", "-sSN", "--max-time", "30", "-D", "-"]
        if last_event_id:
            command += ["-H", "Last-Event-ID: " + last_event_id]
        if token:
            command += ["-H", "Authorization: Bearer " + token]
        self.curl = subprocess.Popen([*command, f"{url}/stream?channels={','.join(channels)}"],
                                     stdout=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(TIMEOUT_S * 2, self.curl.kill)
        self.watchdog.start()
        self.status = int(self.curl.stdout.readline().split()[1])
        self.headers, self.last_id = {}, last_event_id
        while (line := self.curl.stdout.readline().strip()):
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.curl.kill()
        self.curl.wait()
        self.curl.stdout.close()

    def event(self):
        """The next event as (id, name, data); comments and retry are passed over."""
        fields = {}
        for line in self.curl.stdout:
            line = line.rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                fields[name] = value
            elif "data" in fields:
                return fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])
            else:
                fields = {}
        raise AssertionError("the stream ended")

    def open(self):
        """Waits until the stream has told where it stands: from here on nothing is missed."""
        while not self.last_id:
            line = self.curl.stdout.readline()
            assert line, "the stream ended"
            if line.startswith("id: "):
                self.last_id = line[4:].strip()
        return self
