"""Money: credited once, moved once, never made and never lost."""

import concurrent.futures
from decimal import Decimal

import pytest

from platform_under_test import refused

SOMEBODY = "f" * 32


def scale(platform, asset):
    return next(a["scale"] for a in platform.guest().get("/assets")["items"] if a["asset"] == asset)


def test_the_assets_are_listed_with_their_decimals(platform):
    assets = {a["asset"]: a for a in platform.guest().get("/assets")["items"]}
    assert {"BTC", "ETH", "USDT"} <= assets.keys()
    assert all(0 <= a["scale"] <= 18 and a["name"] for a in assets.values())


def test_a_credit_happens_once_per_transfer_id(platform, people):
    user = people()
    first = platform.credit(user, "USDT", "12.5", "once-" + user.name)
    again = platform.credit(user, "USDT", "12.5", "once-" + user.name)
    assert again == first
    assert Decimal(first["amount"]) == Decimal("12.5")
    assert user.balance("USDT") == (Decimal("12.5"), Decimal("12.5"), 0)


@pytest.mark.parametrize("change", [{"amount": "12.6"}, {"asset": "BTC"}, {"userId": SOMEBODY}])
def test_the_same_transfer_id_for_another_credit_is_a_conflict(platform, people, change):
    user = people()
    body = {"transferId": "reused-" + user.name, "userId": user.id, "asset": "USDT", "amount": "12.5"}
    platform.admin().post("/admin/credits", body)
    with refused(409, "transfer_id_reused"):
        platform.admin().post("/admin/credits", body | change)
    assert user.balance("USDT").total == Decimal("12.5")
    assert user.balance("BTC").total == 0


def test_a_transfer_moves_money_once(people):
    ann, bob = people(USDT="100"), people()
    first = ann.transfer(bob, "USDT", "30", "rent")
    assert ann.transfer(bob, "USDT", "30", "rent") == first
    assert ann.transfer(bob, "USDT", "30.00", "rent") == first, "the same amount written otherwise"
    with refused(409, "transfer_id_reused"):
        ann.transfer(bob, "USDT", "31", "rent")
    assert ann.balance("USDT").total == 70 and bob.balance("USDT").total == 30


def test_a_transfer_id_is_its_owners_alone(people):
    ann, bob = people(USDT="10"), people(USDT="10")
    ann.transfer(bob, "USDT", "1", "same-id")
    bob.transfer(ann, "USDT", "2", "same-id")
    assert ann.balance("USDT").total == 11 and bob.balance("USDT").total == 9


def test_the_same_transfer_from_many_threads_moves_money_once(people):
    ann, bob = people(USDT="100"), people()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ann.transfer(bob, "USDT", "7", "crowd"), range(24)))
    assert all(a == answers[0] for a in answers)
    assert bob.balance("USDT").total == 7


def test_nobody_spends_what_is_not_there(people):
    ann, bob = people(USDT="10"), people()
    with refused(422, "insufficient_funds"):
        ann.transfer(bob, "USDT", "10.00000001", "too-much")
    with refused(422, "insufficient_funds"):
        ann.transfer(bob, "BTC", "1", "none-at-all")
    ann.transfer(bob, "USDT", "10", "all-of-it")
    assert ann.balance("USDT").total == 0 and bob.balance("USDT").total == 10


def test_many_spenders_of_one_balance_never_overdraw_it(people):
    ann, bob = people(USDT="10"), people()

    def spend(n):
        return ann.call("POST", "/wallet/transfers", {"transferId": f"spend-{n}", "toUserId": bob.id, "asset": "USDT",
                                                      "amount": "3"}).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(spend, range(16)))
    assert sorted(answers) == [201] * 3 + [422] * 13
    assert ann.balance("USDT").total == 1 and bob.balance("USDT").total == 9


@pytest.mark.parametrize("amount", ["0", "-1", "0.0", "1.", ".5", "1e3", "NaN", "Infinity", "", " 1", "1 ", "+1", "0x10",
                                    "1,5", "0.000000001", "100000000000", "9" * 33, "٣"])
def test_a_bad_amount_is_refused_and_named(people, amount):
    ann, bob = people(USDT="5"), people()
    with refused(400, field="amount"):
        ann.transfer(bob, "USDT", amount, "bad-amount")
    assert ann.balance("USDT").total == 5


@pytest.mark.parametrize("field, value, status", [
    ("transferId", "", 400), ("transferId", "with space", 400), ("transferId", "t" * 65, 400),
    ("toUserId", "", 400), ("toUserId", "ann", 400), ("toUserId", "0" * 33, 400), ("toUserId", "F" * 32, 400),
    ("asset", "", 400), ("asset", "usdt", 400), ("asset", "DOGE", 400), ("asset", "A" * 17, 400),
    ("amount", 5, 400), ("surprise", "1", 400),
])
def test_a_wrong_field_is_named(people, field, value, status):
    ann, bob = people(USDT="5"), people()
    body = {"transferId": "wrong-field", "toUserId": bob.id, "asset": "USDT", "amount": "1"} | {field: value}
    with refused(status, field=field):
        ann.post("/wallet/transfers", body)
    assert ann.balance("USDT").total == 5


def test_a_transfer_id_of_64_bytes_is_accepted(people):
    ann, bob = people(USDT="5"), people()
    assert ann.transfer(bob, "USDT", "1", "t" * 64)["transferId"] == "t" * 64


def test_nobody_pays_oneself(people):
    ann = people(USDT="5")
    with refused(400, field="toUserId"):
        ann.transfer(ann, "USDT", "1", "to-myself")


def test_the_smallest_amount_moves(platform, people):
    ann, bob = people(USDT="1"), people()
    smallest = Decimal(1).scaleb(-scale(platform, "USDT"))
    ann.transfer(bob, "USDT", f"{smallest:f}", "dust")
    assert bob.balance("USDT").total == smallest


def test_the_statement_tells_every_movement_newest_first(people):
    ann, bob = people(USDT="100"), people()
    for n in range(5):
        ann.transfer(bob, "USDT", f"{n + 1}", f"step-{n}")
    entries = ann.get("/wallet/statement", asset="USDT")["items"]
    assert [e["reference"] for e in entries[:5]] == [f"step-{n}" for n in (4, 3, 2, 1, 0)]
    assert [Decimal(e["amount"]) for e in entries] == [-5, -4, -3, -2, -1, 100]
    assert [Decimal(e["totalAfter"]) for e in entries] == [85, 90, 94, 97, 99, 100]
    assert [e["kind"] for e in entries] == ["transfer"] * 5 + ["credit"]
    assert [Decimal(e["amount"]) for e in bob.get("/wallet/statement")["items"]] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
def test_the_statement_pages_without_gaps(people, limit):
    ann, bob = people(USDT="100", BTC="1"), people()
    for n in range(7):
        ann.transfer(bob, "USDT", "1", f"page-{n}")
    whole = ann.get("/wallet/statement", limit=200)["items"]
    assert len(whole) == 9
    assert list(ann.pages("/wallet/statement", limit)) == whole
    assert list(ann.pages("/wallet/statement", limit, asset="BTC")) == [e for e in whole if e["asset"] == "BTC"]


def test_what_comes_between_two_pages_shifts_none(people):
    ann, bob = people(USDT="100"), people()
    for n in range(4):
        ann.transfer(bob, "USDT", "1", f"before-{n}")
    first = ann.get("/wallet/statement", limit=2)
    ann.transfer(bob, "USDT", "1", "between")
    second = ann.get("/wallet/statement", limit=2, cursor=first["nextCursor"])
    assert [e["reference"] for e in first["items"] + second["items"]] == [f"before-{n}" for n in (3, 2, 1, 0)]


@pytest.mark.parametrize("query, field", [({"limit": 201}, "limit"), ({"limit": "many"}, "limit"),
                                          ({"limit": -1}, "limit"), ({"cursor": "garbage"}, "cursor"),
                                          ({"asset": "btc"}, "asset"), ({"surprise": "1"}, "surprise")])
def test_a_bad_page_is_refused(people, query, field):
    with refused(400, field=field):
        people().get("/wallet/statement", **query)


def test_every_asset_sums_to_zero_and_the_audit_knows_every_user(platform, people):
    before = {a["asset"]: a for a in platform.audit()["items"]}
    ann, bob = people(USDT="100"), people(BTC="2")
    ann.transfer(bob, "USDT", "40", "audit")
    audit = platform.audit()
    after = {a["asset"]: a for a in audit["items"]}
    assert audit["balanced"] is True
    for asset in after.values():
        assert Decimal(asset["sum"]) == 0
        assert Decimal(asset["issued"]) == Decimal(asset["users"]) + Decimal(asset["fees"])
    assert Decimal(after["USDT"]["issued"]) - Decimal(before.get("USDT", {"issued": 0})["issued"]) == 100
    assert Decimal(after["BTC"]["users"]) - Decimal(before.get("BTC", {"users": 0})["users"]) == 2
