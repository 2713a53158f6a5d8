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


def test_sessions_outlive_a_restart_and_logouts_too_where_the_cache_does(alone):
    ann, bob = alone.user("ann"), alone.user("bob")
    bob.post("/auth/logout")
    alone.stop()
    alone.start()
    assert ann.get("/users/me")["userId"] == ann.id
    ann.token = ann.post("/auth/refresh")["accessToken"]
    with refused(401):
        bob.post("/auth/refresh")
    if alone.shape == "split":  # Redis has the deny list
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
