"""Thousands of clients at once. TRADEPOST_LONG=1: ten thousand, and an hour of coming and going."""
import json
import os
import subprocess
import time
import unittest

import realtime
from realtime import Case, Host, Raw, frame

LONG = os.environ.get("TRADEPOST_LONG") == "1"
CLIENTS = 10000 if LONG else 2000
CHURN_S = 3600 if LONG else 5
CHURN_CLIENTS = 2000 if LONG else 500
CHURN_GROWTH_KB = 16 * 1024  # what an allocator may keep, and a sanitizer

# Memory that was freed is used again: otherwise a sanitizer's host would only grow.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=16"


class Crowd:
    """The program of tests/support/gateway/crowd.c: as many clients as wanted, quickly."""

    def __init__(self, host, listener="main"):
        self.port = host.ports[listener]
        self.process = subprocess.Popen([os.path.join(os.path.dirname(realtime.HOST), "crowd")], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        answer = self.process.stdout.readline().strip()
        assert answer, "the crowd has died"
        return answer

    def tell(self, line):
        self.ask(line)
        return self.answer()

    def open(self, count):
        self.tell(f"open {self.port} {count}")

    def bare(self, count):
        self.tell(f"bare {self.port} {count}")

    def leave(self):
        self.tell("leave")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Thousands(Case):
    def crowd(self, listener="main"):
        crowd = Crowd(self.host, listener)
        self.addCleanup(self.eventually, lambda: self.host.stats()["connections"] == 0)
        self.addCleanup(crowd.stop)
        return crowd

    def test_each_of_thousands_gets_every_event_in_order(self):
        crowd = self.crowd()
        crowd.open(CLIENTS)
        self.assertEqual(self.host.stats()["subscriptions"], 2 * CLIENTS)
        crowd.ask("wait 50")
        self.host.tell("both 1 50")
        told = json.loads(crowd.answer())
        self.assertEqual(told["delivered"], CLIENTS * 2 * 50)
        print(f"{CLIENTS} clients, {told['delivered'] * 1000 // max(told['ms'], 1)} messages/s")

    def test_a_stalled_client_disturbs_nobody(self):
        crowd = self.crowd()
        slow = self.host.stats()["slow"]
        stalled = self.raw(receive_buffer=4096)
        stalled.text({"command": "subscribe", "msgId": "1", "channels": ["trades:A-USDT"]})
        stalled.receive()
        crowd.open(200)
        had = 0
        while self.host.stats()["slow"] == slow:  # what it does not take waits until it is too much
            crowd.ask(f"wait {had + 100}")
            self.host.tell(f"both {had + 1} 100")
            self.assertEqual(json.loads(crowd.answer())["delivered"], 200 * 2 * 100)
            had += 100
        self.assertEqual(self.host.stats()["slow"], slow + 1)

    def test_peers_that_vanished_without_a_word_are_forgotten(self):
        ghosts = []
        for number in range(20):  # their sockets stay open, but nothing comes from there any more
            ghost = self.raw("nervous")
            ghost.text({"command": "authenticate", "msgId": "1", "token": self.host.token(f"ghost{number}")})
            ghosts.append(ghost)
        self.eventually(lambda: self.host.stats()["connections"] == 0)

    def test_clients_that_hang_on_a_message_are_not_in_the_way(self):
        crowd = self.crowd()
        half = [self.raw() for _ in range(50)]
        for client in half:
            client.send(frame(0x81, b"x" * 1000)[:500])
        crowd.open(100)
        crowd.ask("wait 10")
        self.host.tell("both 1 10")
        self.assertEqual(json.loads(crowd.answer())["delivered"], 100 * 2 * 10)
        for client in half:
            client.socket.close()

    def test_one_that_floods_is_made_to_wait_and_nobody_else_is(self):
        flood = self.raw()
        flood.socket.setblocking(False)
        message = json.dumps({"command": "help", "msgId": "1"}).encode()
        try:
            while True:
                flood.socket.send(frame(0x81, message) * 100)
        except BlockingIOError:
            pass  # it is not read any more: its answers are not taken
        self.connect().result("ping")

    def test_coming_and_going_leaves_no_memory_behind(self):
        crowd, after, rounds = self.crowd(), None, 0
        end = time.monotonic() + CHURN_S
        while time.monotonic() < end or rounds < 4:
            crowd.bare(CHURN_CLIENTS)
            crowd.open(CHURN_CLIENTS)
            crowd.ask("wait 5")
            self.host.tell("both 1 5")
            crowd.answer()
            crowd.leave()
            self.eventually(lambda: self.host.stats()["connections"] == 0)
            rounds += 1
            if rounds == 3:
                after = self.host.resident_kb()
        self.assertLess(self.host.resident_kb() - after, CHURN_GROWTH_KB, f"after {rounds} rounds")
        self.assertEqual(self.host.stats()["queued"], 0)


class Stop(unittest.TestCase):
    def test_thousands_are_told_to_come_back_at_different_times(self):
        host = Host()
        self.addCleanup(host.stop)
        crowd = Crowd(host)
        self.addCleanup(crowd.stop)
        crowd.open(CLIENTS)
        self.assertLess(int(host.tell("drain")), 10000)
        end = json.loads(crowd.tell("end"))
        self.assertEqual((end["closed"], end["code"]), (CLIENTS, 1001))
        self.assertGreater(end["hints"], CLIENTS / 4)
        late = Raw(host, "main", headers={})
        self.assertEqual(late.handshake()[0], 503)
        late.socket.close()


if __name__ == "__main__":
    realtime.main()
