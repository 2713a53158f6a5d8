"""Who is connected: how many may be, what operators see, what other parts are told."""

import json

import pytest
import websocket
from platform_under_test import refused, wait_until
from sockets import CommandFailed, Socket, Stream


def test_operators_see_who_is_connected_page_by_page(platform, people):
    ann = people("ann")
    stream = Stream(platform.url, "trades:BTC-USDT", "prices:BTC-USDT", token=ann.token)
    with Socket(platform.ws(), ann) as first, Socket(platform.ws("guest")) as guest, Socket(platform.ws(), ann):
        first.subscribe("user.orders")
        guest.subscribe("trades:BTC-USDT")
        admin = platform.admin()
        ours = {c["connectionId"]: c for c in admin.pages("/admin/connections", limit=2)}
        assert sorted(ours, key=int) == list(ours), "the oldest first"
        of_ann = [c for c in ours.values() if c["userId"] == ann.id]
        assert [(c["kind"], c["listener"], c["channels"]) for c in of_ann] == [
            ("sse", "rest", 2), ("websocket", "main", 1), ("websocket", "main", 0)]
        for c in of_ann:
            assert c["address"] == "127.0.0.1" and int(c["sentBytes"]) > 0 and c["queuedBytes"] == "0"
            assert c["connectedAt"] <= c["heardAt"]
        assert any(c["listener"] == "guest" and c["userId"] == "" for c in ours.values())
        with Socket(platform.ws(), admin) as operator:
            assert len(operator.command("admin.connections", limit=200)["items"]) >= len(ours)
    stream.curl.kill()
    stream.watchdog.cancel()
    wait_until(lambda: not [c for c in admin.pages("/admin/connections") if c["userId"] == ann.id], 20,
               "the connections to be gone")


def test_only_operators_do(platform, people):
    ann = people("ann")
    with refused(403):
        ann.get("/admin/connections")
    with refused(401):
        platform.guest().get("/admin/connections")
    with Socket(platform.ws(), ann) as socket, pytest.raises(CommandFailed) as failed:
        socket.command("admin.connections")
    assert failed.value.code == "permission_denied"


def test_a_part_can_ask_which_users_are_there(platform, people):
    ann, bob = people("ann"), people("bob")

    def present(user):
        done = platform.run("call", "gateway.Connections/ListPresent", "{}")
        assert done.returncode == 0, done.stderr
        return user.id in json.loads(done.stdout)["userIds"]

    with Socket(platform.ws(), ann):
        assert present(ann) and not present(bob)
    wait_until(lambda: not present(ann), 20, "ann to be gone")


def socket_when_there_is_room(platform):
    """Others that have been closed may take a moment to be gone."""
    made = []

    def connect():
        try:
            made.append(Socket(platform.ws("guest")))
        except websocket.WebSocketBadStatusException as error:
            assert error.status_code == 429
        return made

    wait_until(connect, 20, "room for a connection")
    return made[0]


def test_an_address_and_a_user_have_so_many_connections_and_no_more(new_platform):
    platform = new_platform("one", {"gateway.address_connections_max": 4,
                                    "gateway.user_connections_max": 2}).start()
    ann = platform.user("ann")
    sockets = [Socket(platform.ws(), ann), Socket(platform.ws(), ann)]
    with Socket(platform.ws()) as third:
        with pytest.raises(CommandFailed) as failed:
            third.command("authenticate", token=ann.token)
        assert failed.value.code == "too_many_connections"
        assert third.close_code() == 4009
    with refused(429, "too_many_connections"):
        ann.get("/stream", channels="trades:BTC-USDT")
    sockets += [socket_when_there_is_room(platform) for _ in range(2)]
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        Socket(platform.ws("guest"))
    assert refusal.value.status_code == 429
    with refused(429, "too_many_connections"):
        platform.guest().get("/stream", channels="trades:BTC-USDT")
    for socket in sockets:
        socket.ws.close()
    platform.stop()


def test_a_browser_may_connect_from_pages_of_its_own_host_only(new_platform):
    platform = new_platform("one", {"gateway.origins": "https://app.example"}).start()
    for origin in "https://app.example", f"http://{platform.address('guest')}", f"http://{platform.address('rest')}":
        websocket.create_connection(platform.ws("guest"), origin=origin).close()
    for origin in "https://evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.10", "null", "http://[127.0.0.1]":
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
            websocket.create_connection(platform.ws("guest"), origin=origin)
        assert refusal.value.status_code == 403, origin
    platform.stop()
