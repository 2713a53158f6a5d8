"""SIGTERM: not ready at once, what is being done is finished, and the process exits 0 in time."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import requests

from platform_under_test import STOP_S, wait_until
from sockets import Socket, Stream

CROWD = 1000


def tell(platform, number=signal.SIGTERM):
    for target in platform.targets:
        os.kill(platform.pid(target), number)


def exit_status(platform, seconds=STOP_S):
    """Of the process that is the gateway; the test fails when it takes longer."""
    try:
        return platform.processes[platform.targets[-1]].wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still there after {seconds} s\n" + platform.log()[-3000:]) from None


def port_of(platform, listener="rest"):
    return ("127.0.0.1", platform.ports[listener])


def is_refused(platform, listener="rest"):
    with contextlib.suppress(ConnectionResetError), socket.socket() as s:
        s.settimeout(5)
        return s.connect_ex(port_of(platform, listener)) != 0
    return True


def head(platform, method, path, *lines):
    host = platform.address("rest")
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


def answer(s):
    """Status, headers and body of one answer."""
    file = s.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, file.read(int(headers.get("content-length", 0)))


LOGIN = json.dumps({"email": "nobody@example.com", "password": "not the password"}).encode()


@contextlib.contextmanager
def half_a_login(platform):
    """A request whose body is not all there yet; the platform waits for the rest."""
    before = platform.log().count("/auth/login")
    with socket.create_connection(port_of(platform), 20) as s:
        s.sendall(head(platform, "POST", "/api/v1/auth/login", "Content-Type: application/json",
                       f"Content-Length: {len(LOGIN)}", "Expect: 100-continue"))
        assert s.recv(64).startswith(b"HTTP/1.1 100"), "it reads the body"
        s.sendall(LOGIN[:10])
        yield s
    assert platform.log().count("/auth/login") == before + 1


def test_a_request_in_flight_is_answered_and_new_connections_are_refused(alone):
    with half_a_login(alone) as s:
        tell(alone)
        wait_until(lambda: is_refused(alone), what="connections to be refused")
        for listener in ("main", "login", "guest", "internal"):
            wait_until(lambda name=listener: is_refused(alone, name), what=listener)
        s.sendall(LOGIN[10:])
        status, headers, _ = answer(s)
        # Split, the users' process may have gone before: then that is what the client is told.
        assert status in ((401,) if alone.shape == "one" else (401, 503))
        assert headers["connection"] == "close"
        assert s.recv(1) == b"", "the connection ends with it"
    assert exit_status(alone) == 0


def test_a_request_that_never_ends_is_cut_off_in_time(new_platform):
    platform = new_platform().start()
    with contextlib.suppress(AssertionError), half_a_login(platform) as s:
        tell(platform)
        assert exit_status(platform) == 0
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(1) == b""


def test_idle_connections_end_at_once(new_platform):
    """They do not make the stop last until somebody's patience ends."""
    platform = new_platform().start()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(port_of(platform), 20)) for _ in range(8)]
        for s in idle:
            s.sendall(head(platform, "GET", "/api/v1/markets"))
            assert answer(s)[0] == 200
        tell(platform)
        for s in idle:
            assert s.recv(1) == b""
        assert exit_status(platform) == 0


def test_until_drain_ms_is_over_it_says_not_ready_and_serves(new_platform):
    platform = new_platform(settings={"gateway.drain_ms": 60000}).start()
    with requests.Session() as session:
        assert session.get(platform.internal + "/readyz", timeout=10).status_code == 200
        tell(platform)
        wait_until(lambda: session.get(platform.internal + "/readyz", timeout=10).status_code == 503, what="503")
        assert session.get(platform.internal + "/readyz", timeout=10).json()["status"] == "draining"
        assert requests.get(platform.internal + "/healthz", timeout=10).status_code == 200, "alive all the same"
        assert requests.get(platform.url + "/markets", timeout=10).status_code == 200
        with Socket(platform.ws("guest")) as ws:
            assert ws.command("ping") is not None
        tell(platform)  # enough
        assert exit_status(platform) == 1
    assert "told twice to stop" in platform.log()


def test_after_drain_ms_it_stops(new_platform):
    platform = new_platform(settings={"gateway.drain_ms": 300}).start()
    tell(platform)
    assert exit_status(platform, STOP_S + 1) == 0


def test_a_second_signal_ends_it_at_once(new_platform):
    platform = new_platform().start()
    with contextlib.suppress(AssertionError, ConnectionResetError), half_a_login(platform):
        tell(platform)
        wait_until(lambda: is_refused(platform), what="it to stop")
        began = time.monotonic()
        tell(platform, signal.SIGINT)
        assert exit_status(platform) == 1
        assert time.monotonic() - began < 3
    assert "told twice to stop" in platform.log()
    platform.processes.clear()
    platform.start().stop()


def test_a_reload_while_it_stops_is_too_late(new_platform):
    platform = new_platform(settings={"gateway.drain_ms": 500}).start()
    tell(platform)
    wait_until(lambda: '"stopping"' in platform.log(), what="it to stop")
    tell(platform, signal.SIGHUP)
    assert exit_status(platform) == 0
    assert '"reload' not in platform.log()


def test_streams_and_websockets_are_told_to_come_back(new_platform):
    platform = new_platform().start()
    with Socket(platform.ws("guest")) as ws, Stream(platform.url, "prices:BTC-USDT").open() as stream:
        ws.subscribe("prices:BTC-USDT")
        tell(platform)
        assert ws.close_code() == 1001
        assert stream.curl.wait(STOP_S) in (0, 18)
        assert exit_status(platform) == 0


def test_a_crowd_does_not_make_it_late(new_platform):
    platform = new_platform(settings={"gateway.address_connections_max": 2 * CROWD}).start()
    sockets = [Socket(platform.ws("guest")) for _ in range(CROWD)]
    for ws in sockets:
        ws.subscribe("prices:BTC-USDT")
    tell(platform)
    assert exit_status(platform) == 0
    assert [ws.close_code() for ws in sockets] == [1001] * CROWD
