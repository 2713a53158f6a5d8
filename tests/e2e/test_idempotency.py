"""Idempotency-Key: the same request again gets the first answer."""

import concurrent.futures

import pytest

from platform_under_test import SYMBOL, refused

ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000"}


def post(user, key, path="/orders", body=ORDER):
    return user.call("POST", path, body, {"Idempotency-Key": key})


def test_a_repeat_gets_the_first_answer_and_does_nothing(ann):
    first, again = post(ann, "k-1"), post(ann, "k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert len(ann.get("/orders")["items"]) == 1


@pytest.mark.parametrize("path, body", [("/orders", ORDER | {"price": "59999"}),
                                        ("/wallet/transfers", {"transferId": "t", "asset": "USDT", "amount": "1"})])
def test_the_same_key_for_another_request_is_a_conflict(ann, bob, path, body):
    post(ann, "k-2")
    if "transferId" in body:
        body = body | {"toUserId": bob.id}
    response = post(ann, "k-2", path, body)
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_reused")


def test_a_key_is_its_users_alone(ann, bob):
    assert post(ann, "shared").json()["orderId"] != post(bob, "shared").json()["orderId"]


def test_a_refusal_is_an_answer_too(platform, people):
    user = people()
    first = post(user, "poor")
    assert (first.status_code, first.json()["code"]) == (422, "insufficient_funds")
    platform.credit(user, "USDT", "1000")
    again = post(user, "poor")
    assert (again.status_code, again.content) == (422, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == "application/problem+json"
    assert post(user, "richer").status_code == 201


def test_what_was_malformed_does_not_use_up_the_key(ann):
    assert post(ann, "typo", body=ORDER | {"side": "SIDEWAYS"}).status_code == 400
    assert post(ann, "typo").status_code == 201


def test_one_of_many_at_once_is_carried_out(ann):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(ann, "crowd"), range(16)))
    done = [a for a in answers if a.status_code == 201]
    assert done and len({a.json()["orderId"] for a in done}) == 1
    assert all(a.status_code == 201 or a.json()["code"] == "idempotency_key_in_use" for a in answers)
    assert len(ann.get("/orders")["items"]) == 1


def test_a_transfer_with_a_key_is_replayed(ann, bob):
    body = {"transferId": "by-key", "toUserId": bob.id, "asset": "USDT", "amount": "1"}
    first, again = (post(ann, "transfer", "/wallet/transfers", body) for _ in range(2))
    assert again.content == first.content and again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key, status", [("k" * 128, 201), ("k" * 512, 400)])
def test_a_key_has_a_longest_length(ann, key, status):
    assert post(ann, key).status_code == status


def test_a_batch_with_a_key_places_its_orders_once(ann):
    body = {"orders": [ORDER, ORDER]}
    first, again = (post(ann, "batch", "/orders/batch", body) for _ in range(2))
    assert again.content == first.content
    assert len({i["order"]["orderId"] for i in first.json()["items"]}) == 2
    assert len(ann.get("/orders")["items"]) == 2


def test_an_order_shows_no_id_that_its_owner_did_not_give(ann):
    """The key makes the order safe to repeat; that is not a clientOrderId of the caller's."""
    assert post(ann, "not-mine").json()["clientOrderId"] == ""


def test_without_a_key_every_request_counts(ann):
    for _ in range(2):
        ann.post("/orders", ORDER)
    assert len(ann.get("/orders")["items"]) == 2
    with refused(400):
        ann.post("/orders", {})


def test_a_cancel_with_a_key_is_replayed(ann):
    order = post(ann, "to-cancel").json()
    first, again = (ann.call("DELETE", f"/orders/{order['orderId']}", headers={"Idempotency-Key": "cancel"})
                    for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert again.content == first.content and again.headers["Idempotent-Replayed"] == "true"


def test_an_answer_of_any_length_is_replayed(people):
    user = people("rich", USDT="100000000")
    body = {"orders": [ORDER | {"clientOrderId": f"a-long-name-{i:04}"} for i in range(200)]}
    first, again = (post(user, "long", "/orders/batch", body) for _ in range(2))
    assert first.status_code == 200 and len(first.content) > 65536
    assert again.content == first.content and again.headers["Idempotent-Replayed"] == "true"
