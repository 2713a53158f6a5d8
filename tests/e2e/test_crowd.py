"""More clients than the gateway has threads."""

import time

import requests

from platform_under_test import User


def test_clients_that_keep_their_connections_make_nobody_wait(new_platform):
    platform = new_platform("one", {"gateway.threads": 4}).start()
    ann = platform.user("ann", USDT="100")
    begin = time.monotonic()
    crowd = []
    for _ in range(20):
        user = User(platform, None)
        user.token, user.session = ann.token, requests.Session()
        assert user.get("/users/me")["userId"] == ann.id
        crowd.append(user)
    for user in crowd:
        assert user.balance("USDT").total == 100
    assert time.monotonic() - begin < 5
    platform.stop()
