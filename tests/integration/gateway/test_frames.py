"""The WebSocket protocol (RFC 6455) by hand, and by the websockets library: what is refused and how it ends."""
import asyncio
import json
import re
import struct
import unittest

import websockets  # python3-websockets

import realtime
from realtime import Case, Raw, frame

PING = json.dumps({"command": "ping", "msgId": "7"}).encode()


class Handshake(Case):
    def refused(self, **changes):
        client = Raw(self.host, "main", headers={})
        self.addCleanup(client.socket.close)
        return client.handshake(**changes)

    def test_the_accept_is_the_one_of_the_rfc(self):
        client = Raw(self.host, "main", headers={})
        self.addCleanup(client.socket.close)
        status, head = client.handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==")
        self.assertEqual(status, 101)
        self.assertIn("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)

    def test_other_versions_are_told_the_right_one(self):
        for version in "8", "14", "13, 8", None:
            status, head = self.refused(Sec_WebSocket_Version=version)
            self.assertEqual(status, 426)
            self.assertIn("Sec-WebSocket-Version: 13\r\n", head)

    def test_odd_handshakes_are_refused(self):
        for changes in ({"Sec_WebSocket_Key": None}, {"Sec_WebSocket_Key": "short"},
                        {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZ!=="},
                        {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZXQ="},
                        {"Connection": "keep-alive"}, {"Content_Length": "5"},
                        {"request": "HEAD /ws HTTP/1.1"}, {"request": "GET /ws HTTP/1.0"}):
            status, _ = self.refused(**changes)
            self.assertEqual(status, 400, changes)

    def test_pages_of_other_origins_are_refused(self):
        for origin in "http://evil.example", "null", "http://x.evil.example", "http://evil.example/x", "x":
            status, head = self.refused(Origin=origin)
            self.assertEqual(status, 403, origin)
        for origin in "http://x", "https://X", "https://app.example", None:
            status, _ = self.refused(Origin=origin)
            self.assertEqual(status, 101, origin)

    def test_another_path_is_no_websocket(self):
        self.assertEqual(self.refused(request="GET /other HTTP/1.1")[0], 404)


class Refused(Case):
    """Each is closed with its code; the connection ends at once."""

    def code_for(self, *frames):
        client = self.raw()
        client.send(*frames)
        return client.close_code()

    def test_what_breaks_the_protocol_is_closed_with_1002(self):
        long = b"x" * 126
        for frames in ([frame(0x81, b"hi", mask=False)], [frame(0xC1, PING)], [frame(0xA1, PING)],
                       [frame(0x91, PING)], [frame(0x83, PING)], [frame(0x87)], [frame(0x8B)],
                       [frame(0x8F)], [frame(0x09)], [frame(0x89, long)], [frame(0x80, b"lonely")],
                       [frame(0x01, b"a"), frame(0x81, b"b")], [frame(0x88, b"x")],
                       [frame(0x88, struct.pack("!H", 1005))], [frame(0x88, struct.pack("!H", 999))],
                       [b"\x81\xfe\x00\x05" + b"\0" * 9], [b"\x81\xff" + b"\x80" + b"\0" * 11]):
            self.assertEqual(self.code_for(*frames), 1002, frames)

    def test_text_that_is_not_utf8_is_closed_with_1007(self):
        for frames in ([frame(0x81, b"\xff")], [frame(0x81, b"\xed\xa0\x80")],
                       [frame(0x01, b"\xc3"), frame(0x80, b"x")],
                       [frame(0x88, struct.pack("!H", 1000) + b"\xff")]):
            self.assertEqual(self.code_for(*frames), 1007, frames)

    def test_binary_messages_are_closed_with_1003(self):
        client = self.raw()
        client.send(frame(0x82, b"\x00\x01"))
        opcode, payload = client.receive()
        self.assertEqual((opcode, payload[:2]), (8, struct.pack("!H", 1003)))

    def test_too_long_messages_are_closed_with_1009_before_they_are_read(self):
        before = self.host.resident_kb()
        for size in 256 * 1024 + 1, 1 << 31, 1 << 40, (1 << 63) - 1:
            self.assertEqual(self.code_for(frame(0x81, length=size)), 1009, size)
        self.assertEqual(self.code_for(frame(0x01, b"x" * 200000), frame(0x80, length=100000)), 1009)
        self.assertLess(self.host.resident_kb() - before, 50000)

    def test_a_message_as_long_as_the_limit_is_read(self):
        client = self.raw()
        client.send(frame(0x81, b"x" * (256 * 1024)))
        self.assertIn(b"invalid_argument", client.receive()[1])

    def test_the_server_survives_all_that(self):
        for junk in b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n" * 10, bytes(range(256)):
            client = self.raw()
            client.send(junk)
            self.assertEqual(client.close_code(), 1002)
        self.connect().result("ping")


class Accepted(Case):
    def test_fragments_are_one_message_and_pings_pass_between(self):
        client = self.raw()
        client.send(frame(0x01, PING[:5]), frame(0x89, b"alive?"), frame(0x00), frame(0x8A, b"unasked"),
                    frame(0x80, PING[5:]))
        self.assertEqual(client.receive(), (10, b"alive?"))
        opcode, payload = client.receive()
        self.assertEqual((opcode, json.loads(payload)["msgId"]), (1, "7"))

    def test_a_message_may_come_byte_by_byte(self):
        client = self.raw()
        for byte in frame(0x81, PING):
            client.send(bytes([byte]))
        self.assertEqual(json.loads(client.receive()[1])["msgId"], "7")

    def test_many_messages_may_come_at_once(self):
        client = self.raw()
        client.send(*[frame(0x81, PING)] * 500)
        for _ in range(500):
            self.assertTrue(json.loads(client.receive()[1])["ok"])

    def test_a_ping_is_answered_with_its_payload(self):
        client = self.raw()
        for payload in b"", b"x" * 125:
            client.send(frame(0x89, payload))
            self.assertEqual(client.receive(), (10, payload))

    def test_every_ping_of_a_flood_is_answered_in_order(self):
        client = self.raw()
        count = 3000
        client.send(*[frame(0x89, str(number).encode()) for number in range(count)])
        client.text({"command": "ping", "msgId": "7"})
        for number in range(count):
            self.assertEqual(client.receive(), (10, str(number).encode()))
        self.assertEqual(client.receive()[0], 1)

    def test_who_pings_and_does_not_read_costs_nothing(self):
        client = self.raw(receive_buffer=4096)
        client.socket.setblocking(False)
        try:
            while True:
                client.socket.send(frame(0x89, b"x" * 125) * 100)
        except BlockingIOError:
            pass  # it is not read any more either
        self.connect().result("ping")

    def test_a_close_is_answered_with_its_code(self):
        for code in 1000, 1001, 1011, 3000, 4999:
            client = self.raw()
            client.send(frame(0x88, struct.pack("!H", code) + b"bye"))
            self.assertEqual(client.close_code(), code)
        client = self.raw()
        client.send(frame(0x88))
        self.assertIsNone(client.close_code())

    def test_nothing_behind_a_close_is_read(self):
        client = self.raw()
        client.send(frame(0x88, struct.pack("!H", 1000)), frame(0x81, PING))
        self.assertEqual(client.close_code(), 1000)

    def test_who_vanishes_is_forgotten(self):
        for _ in range(10):
            self.raw().socket.close()
        self.eventually(lambda: self.host.stats()["connections"] == 0)

    def test_a_dead_peer_is_pinged_and_closed(self):
        token = self.host.token("ann")
        client = self.raw("nervous")
        client.text({"command": "authenticate", "msgId": "1", "token": token})
        opcodes = []
        with self.assertRaises((EOFError, ConnectionResetError)):
            while True:
                opcodes.append(client.receive()[0])
        self.assertEqual(opcodes[0], 1)
        self.assertGreater(opcodes.count(9), 3)
        self.assertNotIn(8, opcodes)  # nobody there to be told


    def nervous(self):
        client = self.raw("nervous")
        client.text({"command": "authenticate", "msgId": "1", "token": self.host.token("ann")})
        self.assertEqual(client.receive()[0], 1)
        return client

    def test_a_message_that_does_not_end_is_not_waited_for(self):
        client = self.nervous()
        client.send(frame(0x01, PING[:5]))
        opcode = 9
        while opcode == 9:  # alive all the time
            client.send(frame(0x8A), frame(0x00))
            opcode, payload = client.receive()
        self.assertEqual((opcode, payload[:2]), (8, struct.pack("!H", 1008)))

    def test_who_takes_nothing_is_closed_however_much_it_says(self):
        before = int(self.host.tell("closed 4008"))
        client = self.raw("nervous", receive_buffer=4096)
        client.text({"command": "authenticate", "msgId": "1", "token": self.host.token("ann")})
        for number in range(6):
            client.text({"command": "help", "msgId": f"h{number}"})

        def is_gone():
            try:
                client.send(frame(0x8A))
            except ConnectionError:
                pass
            return int(self.host.tell("closed 4008")) == before + 1
        self.eventually(is_gone)

    def test_who_is_always_in_the_middle_of_a_message_stays(self):
        client = self.nervous()
        client.send(frame(0x01, PING[:5]))
        pings = 0
        while pings < 40:  # more than a dead peer would live
            opcode, payload = client.receive()
            self.assertIn(opcode, (1, 9), payload)
            if opcode == 9:
                pings += 1
                client.send(frame(0x80, PING[5:]), frame(0x01, PING[:5]))


class Library(Case):
    """The websockets library answers pings by itself and checks what it gets."""

    def run_with(self, listener, story):
        async def run():
            url = f"ws://127.0.0.1:{self.host.ports[listener]}/ws"
            async with websockets.connect(url, ping_interval=None) as ws:
                await asyncio.wait_for(story(ws), realtime.SOON)
        asyncio.run(run())

    def test_who_answers_pings_stays(self):
        async def story(ws):
            await ws.send(json.dumps({"command": "authenticate", "msgId": "1",
                                      "token": self.host.token("ann")}))
            await ws.recv()
            await asyncio.sleep(4)  # longer than a dead peer would live
            await ws.send(PING.decode())
            self.assertTrue(json.loads(await ws.recv())["ok"])
        self.run_with("nervous", story)

    def test_pings_fragments_and_closes(self):
        async def story(ws):
            await (await ws.ping(b"payload"))
            await ws.send([PING.decode()[:9], PING.decode()[9:20], PING.decode()[20:]])
            self.assertTrue(json.loads(await ws.recv())["ok"])
            await ws.close(4123, "done")
            self.assertEqual((ws.close_code, ws.close_reason), (4123, ""))
        self.run_with("main", story)

    def test_a_verdict_has_its_reason(self):
        async def story(ws):
            await ws.send(json.dumps({"command": "authenticate", "msgId": "1", "token": "x"}))
            await ws.recv()
            with self.assertRaises(websockets.ConnectionClosed):
                await ws.recv()
            self.assertEqual((ws.close_code, ws.close_reason), (4003, "bad credentials"))
        self.run_with("main", story)


class Stop(unittest.TestCase):
    def setUp(self):
        self.host = realtime.Host()
        self.addCleanup(self.host.stop)

    def test_all_are_told_1001_and_the_door_is_closed(self):
        clients = [Raw(self.host, "main") for _ in range(8)]
        self.assertLess(int(self.host.tell("drain")), 5000)  # also with clients that do not answer
        hints = set()
        for client in clients:
            opcode, payload = client.receive()
            self.assertEqual((opcode, payload[:2]), (8, struct.pack("!H", 1001)))
            hint = re.fullmatch(r"going away; retry in (\d+) ms", payload[2:].decode())
            self.assertTrue(500 <= int(hint[1]) <= 5000, payload)
            hints.add(hint[1])
            client.socket.close()
        self.assertEqual(len(hints), 8)  # nobody comes back at the same time
        late = Raw(self.host, "main", headers={})
        self.assertEqual(late.handshake()[0], 503)
        late.socket.close()

    def test_who_does_not_read_does_not_hold_it_up(self):
        slow = Raw(self.host, "main", 4096)
        slow.text({"command": "subscribe", "msgId": "1", "channels": ["trades:BTC-USDT"]})
        slow.receive()
        for first in range(0, 1200, 100):
            self.host.publish_trades(first, 100)
        self.assertLess(int(self.host.tell("drain")), 5000)
        slow.socket.close()


if __name__ == "__main__":
    realtime.main()
