"""Stopping and starting again changes nothing."""

from decimal import Decimal

from platform_under_test import SYMBOL, refused


def picture(platform, people):
    """All that its users and guests can see."""
    return {
        "audit": platform.audit()["items"],
        "depth": [platform.guest().get(f"/markets/{s}/depth")[k] for s in (SYMBOL, "ETH-USDT") for k in ("bids", "asks")],
        "trades": platform.guest().get(f"/markets/{SYMBOL}/trades")["items"],
        "last": platform.guest().get(f"/markets/{SYMBOL}/ticker")["last"],
        "people": [{
            "me": p.get("/users/me"),
            "balances": p.get("/wallet/balances"),
            "statement": list(p.pages("/wallet/statement")),
            "orders": list(p.pages("/orders")),
            "open": list(p.pages("/orders/open")),
            "trades": list(p.pages("/trades")),
        } for p in people],
    }


def trade_a_little(ann, bob):
    for n in range(10):
        ann.limit("SELL", "0.1", 60000 + n, clientOrderId=f"sell-{n}")
        bob.limit("BUY", "0.05", 60000 + n, clientOrderId=f"buy-{n}")
    ann.cancel(ann.limit("BUY", "1", 3000, symbol="ETH-USDT"))
    bob.limit("BUY", "1", 2999, symbol="ETH-USDT")
    bob.market("SELL", "0.01")
    ann.transfer(bob, "USDT", "17", "a-gift")


def test_a_restart_keeps_everything(alone):
    ann, bob = alone.user("ann", USDT="1000000", BTC="10"), alone.user("bob", USDT="1000000", BTC="10")
    trade_a_little(ann, bob)
    before = picture(alone, (ann, bob))
    assert len(before["people"][0]["open"]) > 0 and len(before["people"][1]["trades"]) > 0

    for _ in range(2):
        alone.stop()
        alone.start()
        assert picture(alone, (ann, bob)) == before

    assert ann.limit("SELL", "0.1", 60000, clientOrderId="sell-0")["orderId"] == before["people"][0]["orders"][-1]["orderId"]
    ann.transfer(bob, "USDT", "17", "a-gift")
    assert picture(alone, (ann, bob)) == before, "what was repeated changed nothing"

    order = bob.limit("BUY", "10", 60100)
    assert Decimal(order["filled"]) > 0, "the book is as it was"
    assert alone.audit()["balanced"]


def test_what_is_repeated_with_its_key_after_a_restart_is_still_done_once(alone):
    """The first answers may be gone with a cache in process; what was done is known to trading."""
    ann = alone.user("ann", USDT="1000000")
    body = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000"}
    first = ann.call("POST", "/orders", body, {"Idempotency-Key": "place"}).json()
    other = ann.call("POST", "/orders", body, {"Idempotency-Key": "other"}).json()
    cancelled = ann.call("DELETE", f"/orders/{first['orderId']}", None, {"Idempotency-Key": "cancel"})
    assert cancelled.json()["status"] == "CANCELLED"
    alone.stop()
    alone.start()
    again = ann.call("POST", "/orders", body, {"Idempotency-Key": "other"})
    assert (again.status_code, again.json()["orderId"]) == (201, other["orderId"])
    again = ann.call("DELETE", f"/orders/{first['orderId']}", None, {"Idempotency-Key": "cancel"})
    assert (again.status_code, again.json()) == (200, cancelled.json())
    assert [o["orderId"] for o in ann.get("/orders/open")["items"]] == [other["orderId"]]


def test_sessions_outlive_a_restart_and_logouts_too(alone):
    ann, bob = alone.user("ann"), alone.user("bob")
    bob.post("/auth/logout")
    alone.stop()
    alone.start()
    assert ann.get("/users/me")["userId"] == ann.id
    ann.token = ann.post("/auth/refresh")["accessToken"]
    with refused(401):
        bob.post("/auth/refresh")
    with refused(401):
        bob.get("/users/me")


def test_a_new_process_waits_for_parts_that_start_later(new_platform):
    platform = new_platform("split")
    for part in ("gateway", "trading", "wallet", "users"):
        platform.launch(part)
    platform.wait_ready()
    ann = platform.user("ann", USDT="100")
    assert ann.limit("BUY", "0.001", 50000)["status"] == "OPEN"
    platform.stop()
