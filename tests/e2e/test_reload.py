"""SIGHUP: a running platform takes a new configuration whole, or keeps the one it has and says why."""

import contextlib
import json
import os
import signal
import threading

import pytest
import requests
import websocket

from platform_under_test import wait_until
from sockets import Closed, Socket

GOOD = "https://good.example"
OTHER = "https://other.example"
RELOADS = 100
LEAK_MAX_BYTES = 2 * 1024 * 1024  # of 100 configurations of some 50 KB each


class Reloaded:
    """A running platform with a configuration file of its own."""

    def __init__(self, platform, directory):
        self.platform, self.file = platform, directory / "own.yml"
        platform.config = self.file
        self.reloads = 0
        self.write(f"gateway: {{origins: '{GOOD}'}}")
        platform.start()

    def write(self, text):
        self.file.write_text(text)

    def said(self):
        """What the platform said about each reload so far."""
        whole = self.platform.log().rpartition("\n")[0]  # the last line may still be being written
        lines = (json.loads(line) for line in whole.splitlines() if line.startswith("{"))
        return [line for line in lines if line["part"] == "tradepost" and line["msg"].startswith("reload")]

    def reload(self):
        """Every process; returns what they said."""
        expected = len(self.said()) + len(self.platform.targets)
        for target in self.platform.targets:
            os.kill(self.platform.pid(target), signal.SIGHUP)
        wait_until(lambda: len(self.said()) >= expected, what="an answer to SIGHUP")
        return self.said()[-len(self.platform.targets):]

    def allows(self, origin):
        answer = requests.get(self.platform.url + "/markets", headers={"Origin": origin}, timeout=10)
        assert answer.status_code == 200
        return answer.headers.get("Access-Control-Allow-Origin") == origin


@pytest.fixture
def running(new_platform, tmp_path):
    return Reloaded(new_platform(), tmp_path)


class Load:
    """Clients that ask on and on; every answer must be good."""

    def __init__(self, platform, clients=4):
        self.platform, self.over, self.answers, self.problems = platform, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.ask_on) for _ in range(clients)]

    def ask_on(self):
        with requests.Session() as session:
            while not self.over.is_set():
                try:
                    answer = session.get(self.platform.url + "/markets", headers={"Origin": GOOD}, timeout=20)
                    assert answer.status_code == 200 and len(answer.json()["items"]) == 2, answer.text
                    self.answers += 1
                except Exception as problem:  # pylint: disable=broad-except
                    self.problems.append(repr(problem))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_a_good_file_changes_origins_and_log_level_and_no_request_fails(running):
    with Load(running.platform) as load:
        wait_until(lambda: load.answers > 20, what="the load")
        for _ in range(5):
            running.write(f"gateway: {{origins: '{OTHER}', hsts: true}}\nlog: {{level: warn}}")
            assert running.reload()[0]["changed"] == "log.level,gateway.origins,gateway.hsts"
            assert running.allows(OTHER) and not running.allows(GOOD)
            quiet = running.platform.log().count('"request"')
            answered = load.answers
            wait_until(lambda: load.answers > answered + 20, what="the load")
            assert running.platform.log().count('"request"') <= quiet + len(load.threads), "requests are still logged"

            running.write(f"gateway: {{origins: '{GOOD}'}}")
            running.reload()
            assert running.allows(GOOD) and not running.allows(OTHER)
    assert load.problems == []
    running.platform.stop()


@pytest.mark.parametrize("text,says", [
    ("gateway: {origins: 'https://bad.example'", "own.yml:2: not YAML"),
    ("log:\n  level: debug\n  colour: red", 'own.yml:3: there is no key "log.colour"'),
    ("log: {level: debug}\ngateway:\n  request_ms: soon", "own.yml:3: gateway.request_ms: must be a whole number"),
    ("log: {level: debug}\ngateway:\n  request_ms: 99", "own.yml:3: gateway.request_ms: must be a whole number from 100"),
    ("log: {level: debug}\ngateway:\n  hsts: 'yes'", "own.yml:3: gateway.hsts: must be true or false"),
    ("log: {level: noisy}", "log.level: must be debug, info, warn or error"),
    ("log: {level: debug}\ngateway: {origins: 'https://bad.example/'}", "is no origin"),
    ("log: {level: debug}\ngateway: {threads: 33}", "gateway.threads: cannot change while running; restart"),
    ("log: {level: debug}\nassets: [{asset: XYZ, scale: 2}]", "assets[]: cannot change while running; restart"),
    (None, "own.yml: no such file"),
])
def test_with_a_bad_file_everything_stays_and_the_log_says_why(running, text, says):
    if text is None:
        running.file.unlink()
    else:
        running.write(text)
    said = running.reload()[0]
    assert said["level"] == "error" and said["msg"] == "reload refused, nothing has changed"
    assert says in said["detail"]
    assert running.allows(GOOD) and not running.allows("https://bad.example")
    assert '"level":"debug"' not in running.platform.log()
    running.write(f"gateway: {{origins: '{OTHER}'}}")  # and a good one is taken again
    assert running.reload()[0]["changed"] == "gateway.origins"


def admits(running, count):
    """How many of so many WebSockets of this address are let in."""
    with contextlib.ExitStack() as stack:
        admitted = 0
        for _ in range(count):
            with contextlib.suppress(websocket.WebSocketException, OSError, Closed):
                stack.enter_context(Socket(running.platform.ws("guest"))).command("ping")
                admitted += 1
        return admitted


def test_the_limit_of_connections_changes_for_those_that_come(running):
    assert admits(running, 6) == 6
    running.write("gateway: {address_connections_max: 3}")
    assert "gateway.address_connections_max" in running.reload()[0]["changed"]
    wait_until(lambda: admits(running, 6) == 3, what="the lower limit")
    running.write("gateway: {address_connections_max: 5}")
    running.reload()
    wait_until(lambda: admits(running, 6) == 5, what="the higher limit")


def test_flags_stay_on_top_of_the_file(running):
    running.write(f"gateway: {{origins: '{GOOD}', cookie_secure: true}}\nusers: {{bcrypt_cost: 14}}")
    assert running.reload()[0]["changed"] == "", "both are given by --set"


def test_each_process_of_a_split_platform_reloads(new_platform, tmp_path):
    running = Reloaded(new_platform("split"), tmp_path)
    running.write(f"gateway: {{origins: '{OTHER}'}}\nlog: {{level: warn}}")
    assert {line["changed"] for line in running.reload()} == {"log.level,gateway.origins"}
    assert running.allows(OTHER)


def rss_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def test_a_hundred_reloads_under_load_leak_nothing(running):
    pid = running.platform.pid()

    def reload_often():
        for n in range(RELOADS):
            running.write(f"gateway: {{origins: '{GOOD}', request_ms: {5000 + n}}}\nlog: {{level: warn}}")
            assert running.reload()[0]["msg"] == "reloaded"
        return rss_bytes(pid), len(os.listdir(f"/proc/{pid}/fd"))

    with Load(running.platform) as load:
        before, descriptors = reload_often()
        after, descriptors_after = reload_often()
    assert load.problems == [] and load.answers > 0
    assert after - before < LEAK_MAX_BYTES, (before, after)
    assert descriptors_after <= descriptors + len(load.threads)
    running.platform.stop()
