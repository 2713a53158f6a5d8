"""Who calls, when a proxy stands between: its word counts only if it is trusted."""

import json

import pytest
import requests

from conftest import make, run
from platform_under_test import PASSWORD, Platform, wait_until

ADDRESSES = {  # as the peer 127.0.0.1, a trusted proxy, passes them on
    "198.51.100.7": "198.51.100.7",
    "6.6.6.6, 198.51.100.7": "198.51.100.7",
    "198.51.100.7, 127.0.0.1": "198.51.100.7",
    "2001:DB8::0:1": "2001:db8::1",
    "::ffff:198.51.100.7": "198.51.100.7",
    "unknown": "127.0.0.1",
    "198.51.100.7:80": "127.0.0.1",
}


def get(platform, headers):
    return requests.get(platform.url + "/markets", headers=headers, timeout=20)


def logged_peer(platform, response):
    request_id = response.headers["X-Request-Id"]
    wait_until(lambda: request_id in platform.log(), 20, "the line")  # written after the answer
    return next(json.loads(line)["peer"] for line in platform.log().splitlines() if request_id in line)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One that trusts no proxy, in front of which there is none."""
    yield from run(make(tmp_path_factory.mktemp("alone"), **{"gateway.trusted_proxies": ""}))


def test_the_client_is_whom_a_trusted_proxy_names(platform):
    assert logged_peer(platform, get(platform, {})) == "127.0.0.1"
    for forwarded, client in ADDRESSES.items():
        assert logged_peer(platform, get(platform, {"X-Forwarded-For": forwarded})) == client, forwarded


def test_who_is_not_trusted_is_the_client_itself(alone):
    for forwarded in ADDRESSES:
        assert logged_peer(alone, get(alone, {"X-Forwarded-For": forwarded})) == "127.0.0.1"


@pytest.mark.parametrize("proto, tls", [("https", True), ("HTTPS", True), ("http", False), ("", False),
                                        ("https, http", False), (None, False)])
def test_who_came_over_TLS_stays_there(platform, ann, proto, tls):
    headers = {"X-Forwarded-Proto": proto} if proto is not None else {}
    assert ("Strict-Transport-Security" in get(platform, headers).headers) == tls
    login = requests.post(platform.url + "/auth/login", json={"email": ann.email, "password": PASSWORD},
                          headers=headers, timeout=20)
    assert login.headers["Set-Cookie"].endswith("; Secure") == tls


def test_nobody_says_of_himself_that_he_came_over_TLS(alone):
    assert "Strict-Transport-Security" not in get(alone, {"X-Forwarded-Proto": "https"}).headers


@pytest.mark.parametrize("networks, says", [("localhost", "no network"), ("127.0.0.1/33", "0 to 32"),
                                            ("10.0.0.1/8", "right is 10.0.0.0/8")])
def test_a_wrong_list_of_proxies_is_refused_at_the_start(tmp_path, networks, says):
    platform = Platform(tmp_path, "one", {"gateway.trusted_proxies": networks})
    result = platform.run()
    assert result.returncode != 0
    assert "gateway.trusted_proxies" in result.stderr and says in result.stderr, result.stderr
