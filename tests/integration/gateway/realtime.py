"""What the realtime tests share: the host program with real neighbours, and clients of three kinds."""
import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import websocket  # python3-websocket

HOST = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
SOON = 20  # seconds: far more than anything takes, also under a sanitizer


class Host:
    """The program under test; see tests/support/gateway/realtime_host.c for its commands."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tradepost-test-")
        self.process = subprocess.Popen([HOST, self.directory], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.tell("ports"))

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the host has died"
        return answer.strip()

    def token(self, user, session="s1", seconds=600):
        return self.tell(f"token {user} {session} {seconds}")

    def publish_trade(self, number, symbol="BTC-USDT"):
        trade = {"tradeId": str(number), "symbol": symbol, "price": "1", "quantity": "2"}
        self.tell(f"publish trading.market {symbol} market.trade " + json.dumps({"trade": trade}))

    def publish_trades(self, first, count, symbol="BTC-USDT"):
        self.tell(f"trades {symbol} {first} {count}")

    def publish_price(self, last, symbol="BTC-USDT"):
        price = {"symbol": symbol, "last": str(last)}
        self.tell(f"publish trading.market {symbol} market.price " + json.dumps(price))

    def publish_order(self, user, order):
        payload = {"order": {"orderId": str(order)}}
        self.tell(f"publish trading.user {user} order.filled " + json.dumps(payload))

    def publish_balance(self, user, asset="USDT"):
        self.tell(f"publish wallet.user {user} balance.updated "
                  + json.dumps({"balance": {"asset": asset}}))

    def stats(self):
        return json.loads(self.tell("stats"))

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def stop(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        shutil.rmtree(self.directory)
        assert code == 0, f"the host ended with {code}"


class Case(unittest.TestCase):
    """A test with the host that all of a file share; it ends in main."""

    host = None

    @classmethod
    def setUpClass(cls):
        if not Case.host:
            Case.host = Host()

    def connect(self, listener="main"):
        client = Client(self.host, listener)
        self.addCleanup(client.leave)
        return client

    def raw(self, listener="main", receive_buffer=None):
        client = Raw(self.host, listener, receive_buffer)
        self.addCleanup(client.socket.close)
        return client

    def eventually(self, condition):
        end = time.monotonic() + SOON
        while not condition():
            self.assertLess(time.monotonic(), end, "never true")
            time.sleep(0.005)


class Closed(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Client:
    """websocket-client, with answers and events told apart."""

    def __init__(self, host, listener):
        self.ws = websocket.create_connection(
            f"ws://127.0.0.1:{host.ports[listener]}/ws", timeout=SOON)
        self.events = []
        self.answers, self.parts = {}, {}  # by msgId
        self.number = 0

    def leave(self):
        self.ws.close()
        self.ws.shutdown()

    def send(self, command, msg_id=None, **parameters):
        self.number += 1
        msg_id = msg_id or f"m{self.number}"
        self.ws.send(json.dumps({"command": command, "msgId": msg_id, **parameters}))
        return msg_id

    def receive(self):
        """The next message, whatever it is; Closed when there is none."""
        opcode, data = self.ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Closed(struct.unpack("!H", data[:2])[0] if data else None)
        return json.loads(data)

    def answer(self, msg_id):
        while msg_id not in self.answers:
            message = self.receive()
            if "part" in message:
                message = self.join(message)
            if "ok" in message:
                self.answers[message["msgId"]] = message
            elif message:
                self.events.append(message)
        return self.answers.pop(msg_id)

    def join(self, message):
        """The answer that this part is the last of; {} if more are to come."""
        text = self.parts.pop(message["msgId"], "") + message["data"]
        if message["part"] == message["parts"]:
            return json.loads(text)
        self.parts[message["msgId"]] = text
        return {}

    def ask(self, command, **parameters):
        return self.answer(self.send(command, **parameters))

    def result(self, command, **parameters):
        answer = self.ask(command, **parameters)
        assert answer["ok"], answer
        return answer["result"]

    def error(self, command, **parameters):
        answer = self.ask(command, **parameters)
        assert not answer["ok"], answer
        return answer["error"]

    def event(self):
        return self.events.pop(0) if self.events else self.receive()

    def close_code(self):
        try:
            while True:
                self.receive()
        except Closed as closed:
            return closed.code

    def subscribe(self, *channels, since=None):
        parameters = {"since": since} if since else {}
        return self.result("subscribe", channels=list(channels), **parameters)["items"]


MASK = b"\x11\x22\x33\x44"


def frame(first, payload=b"", mask=True, length=None):
    """A client's frame, as odd as a test wants it."""
    size = len(payload) if length is None else length
    head = bytes([first])
    flag = 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", size)
    if not mask:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload))


class Raw:
    """A socket that speaks WebSocket by hand."""

    def __init__(self, host, listener, receive_buffer=None, headers=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(SOON)
        self.socket.connect(("127.0.0.1", host.ports[listener]))
        self.pending = b""
        if headers is None:
            status, _ = self.handshake()
            assert status == 101, status

    def handshake(self, request="GET /ws HTTP/1.1", **changes):
        headers = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
                   "Sec-WebSocket-Version": "13"}
        headers.update({name.replace("_", "-"): value for name, value in changes.items()})
        lines = [request] + [f"{n}: {v}" for n, v in headers.items() if v is not None]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        while b"\r\n\r\n" not in self.pending:
            data = self.socket.recv(4096)
            assert data, "closed without an answer"
            self.pending += data
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        return int(head.split(b" ")[1]), head.decode()

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def text(self, message):
        self.send(frame(0x81, json.dumps(message).encode()))

    def take(self, size):
        while len(self.pending) < size:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.pending += data
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def receive(self):
        """(opcode, payload) of the next frame; the server's are whole and unmasked."""
        first, second = self.take(2)
        assert first & 0xF0 == 0x80 and not second & 0x80
        size = second
        if second == 126:
            size = struct.unpack("!H", self.take(2))[0]
        elif second == 127:
            size = struct.unpack("!Q", self.take(8))[0]
        return first & 0x0F, self.take(size)

    def close_code(self):
        """The code of the close frame; None: it was empty. The connection must end behind it."""
        opcode, payload = self.receive()
        while opcode != 8:
            opcode, payload = self.receive()
        try:
            self.take(1)
            raise AssertionError("something came behind the close")
        except (EOFError, ConnectionResetError):
            pass
        return struct.unpack("!H", payload[:2])[0] if payload else None


def main():
    program = unittest.main(verbosity=2, exit=False)
    if Case.host:
        Case.host.stop()  # also says whether a sanitizer found something
    sys.exit(not program.result.wasSuccessful())
