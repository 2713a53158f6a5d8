"""How a caller says who it is: tokens, cookies, and what a browser must add to them."""

import concurrent.futures
import time

import jwt
import pytest
import requests

from platform_under_test import PASSWORD, Platform, wait_until

ME = "/users/me"


def bearer(token):
    return {"Authorization": "Bearer " + token}


def me(platform, headers=None, cookies=None):
    return requests.get(platform.url + ME, headers=headers, cookies=cookies, timeout=20)


def log_in(platform, user):
    return requests.post(platform.url + "/auth/login", json={"email": user.email, "password": PASSWORD}, timeout=20)


def refresh_cookie(response):
    return next(c for c in response.cookies if c.name == "tp_refresh")


# ---- access tokens ----

def test_a_token_says_who_it_is(platform, ann):
    assert me(platform, bearer(ann.token)).json()["userId"] == ann.id
    assert me(platform, {"Authorization": "bearer " + ann.token}).status_code == 200


def tampered(token):
    head, claims, signature = token.split(".")
    middle = len(claims) // 2
    return [
        "", ".", "..", "a.b.c", token + "x", token[:-1], f"{head}.{claims}.", f"{head}..{signature}",
        f".{claims}.{signature}", f"{head}.{claims[:middle]}{'A' if claims[middle] != 'A' else 'B'}"
        f"{claims[middle + 1:]}.{signature}", f"{head}.{claims}.{signature[::-1]}", "x" * 5000, token + "." + token,
    ]


def test_a_token_that_was_changed_is_nobodys(platform, ann):
    for token in tampered(ann.token):
        response = me(platform, bearer(token))
        assert response.status_code == 401, token
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_of_another_making_is_nobodys(platform, ann):
    claims = jwt.decode(ann.token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(ann.token)["kid"]
    forged = [jwt.encode(claims, "secret", algorithm="HS256", headers={"kid": kid}),
              jwt.encode(claims, None, algorithm="none", headers={"kid": kid}),
              jwt.encode(claims, "secret", algorithm="HS256", headers={"kid": "unknown"})]
    for token in forged:
        assert me(platform, bearer(token)).status_code == 401


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "Bearer  x", "Token x", "x", ""])
def test_another_scheme_is_refused(platform, value):
    assert me(platform, {"Authorization": value}).status_code == 401


def test_a_stale_token_keeps_nobody_from_what_guests_may(platform):
    response = requests.get(platform.url + "/markets", headers=bearer("stale"), timeout=20)
    assert response.status_code == 200


def test_only_an_admin_may_what_is_for_admins(platform, ann):
    response = requests.get(platform.url + "/admin/audit", headers=bearer(ann.token), timeout=20)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_logging_out_ends_the_token_at_once(platform):
    user = platform.user("leaver")
    assert me(platform, bearer(user.token)).status_code == 200  # remembered from now on
    user.post("/auth/logout")
    assert me(platform, bearer(user.token)).status_code == 401


# ---- the access token as a cookie ----

def test_a_cookie_reads_without_more(platform, ann):
    assert me(platform, cookies={"tp_access": ann.token}).json()["userId"] == ann.id
    assert me(platform, cookies={"tp_access": "stale"}).status_code == 401
    assert me(platform, cookies={"tp_access": ""}).status_code == 401


@pytest.mark.parametrize("header, cookie, status", [
    (None, "secret", 403), ("secret", None, 403), ("other", "secret", 403), ("secre", "secret", 403), ("", "", 403),
    ("secret", "secret", 200)])
def test_a_cookie_that_changes_things_needs_the_csrf_header(platform, ann, header, cookie, status):
    cookies = {"tp_access": ann.token} | ({"tp_csrf": cookie} if cookie is not None else {})
    headers = {"X-CSRF-Token": header} if header is not None else {}
    response = requests.delete(platform.url + "/orders", cookies=cookies, headers=headers, timeout=20)
    assert response.status_code == status
    if status == 403:
        assert response.json()["code"] == "permission_denied"


def test_a_bearer_token_needs_no_csrf_header(platform, ann):
    response = requests.delete(platform.url + "/orders", headers=bearer(ann.token), timeout=20)
    assert response.status_code == 200


def test_a_forgotten_cookie_does_not_keep_anybody_from_logging_in(platform, ann):
    response = requests.post(platform.url + "/auth/login", json={"email": ann.email, "password": PASSWORD},
                             cookies={"tp_access": "stale"}, timeout=20)
    assert response.status_code == 200


# ---- the refresh token ----

def test_the_refresh_token_is_in_a_cookie_and_nowhere_else(platform, ann):
    response = log_in(platform, ann)
    assert response.json()["refreshToken"] == ""
    header = response.headers["Set-Cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Max-Age="):
        assert word in header
    assert refresh_cookie(response).value not in response.text
    assert response.headers["Cache-Control"] == "no-store"


def test_a_refresh_rotates_the_cookie(platform, ann):
    session = requests.Session()
    session.cookies.update(log_in(platform, ann).cookies)
    first = session.cookies["tp_refresh"]
    response = session.post(platform.url + "/auth/refresh", timeout=20)
    assert response.status_code == 200 and me(platform, bearer(response.json()["accessToken"])).status_code == 200
    assert session.cookies["tp_refresh"] != first
    stolen = requests.post(platform.url + "/auth/refresh", cookies={"tp_refresh": first}, timeout=20)
    assert (stolen.status_code, stolen.json()["code"]) == (401, "bad_refresh_token")
    assert 'tp_refresh=;' in stolen.headers["Set-Cookie"] and "Max-Age=0" in stolen.headers["Set-Cookie"]
    assert me(platform, bearer(response.json()["accessToken"])).status_code == 401
    assert session.post(platform.url + "/auth/refresh", timeout=20).status_code == 401


def test_a_page_of_another_host_cannot_use_the_cookie(platform, ann):
    session = requests.Session()
    session.cookies.update(log_in(platform, ann).cookies)
    for origin in "https://evil.example", "null":
        response = session.post(platform.url + "/auth/refresh", headers={"Origin": origin}, timeout=20)
        assert response.status_code == 403 and "Set-Cookie" not in response.headers
    own = platform.url.removesuffix("/api/v1")
    assert session.post(platform.url + "/auth/refresh", headers={"Origin": own}, timeout=20).status_code == 200


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 600, '"quoted"'])
def test_a_refresh_without_its_cookie_is_refused(platform, cookie):
    cookies = {"tp_refresh": cookie} if cookie is not None else {}
    response = requests.post(platform.url + "/auth/refresh", cookies=cookies, timeout=20)
    assert (response.status_code, response.json()["code"]) == (401, "bad_refresh_token")


def test_logging_out_takes_the_cookie_away(platform, ann):
    response = log_in(platform, ann)
    out = requests.post(platform.url + "/auth/logout", headers=bearer(response.json()["accessToken"]),
                        cookies=response.cookies, timeout=20)
    assert out.status_code == 200
    assert 'tp_refresh=;' in out.headers["Set-Cookie"] and "Max-Age=0" in out.headers["Set-Cookie"]


def test_an_idempotency_key_does_not_keep_a_login(platform, ann):
    headers = {"Idempotency-Key": "one-login"}
    body = {"email": ann.email, "password": PASSWORD}
    first, second = (requests.post(platform.url + "/auth/login", json=body, headers=headers, timeout=20)
                     for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert "Idempotent-Replayed" not in second.headers
    assert refresh_cookie(first).value != refresh_cookie(second).value


# ---- secure by default, and after a restart ----

def test_the_cookie_is_secure_unless_told_otherwise(tmp_path):
    platform = Platform(tmp_path, "one", {"gateway.cookie_secure": "true", "gateway.hsts": "true"})
    try:
        platform.start()
        user = platform.user("safe")
        response = log_in(platform, user)
        assert response.headers["Set-Cookie"].endswith("; Secure")
        assert response.headers["Strict-Transport-Security"].startswith("max-age=")

        token = response.json()["accessToken"]
        platform.stop()
        platform.start()
        begin = time.monotonic()
        assert me(platform, bearer(token)).json()["userId"] == user.id
        assert time.monotonic() - begin < 5
        platform.stop()
    finally:
        platform.close()


def test_a_request_in_flight_is_answered_before_the_platform_stops(tmp_path):
    platform = Platform(tmp_path, "one", {"users.bcrypt_cost": 12})
    try:
        platform.start()
        user = platform.user("last")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            last = pool.submit(log_in, platform, user)
            wait_until(lambda: calls_in_flight(platform, "users"), what="the request to arrive")
            platform.stop()
            assert last.result().status_code == 200 and last.result().headers["Connection"] == "close"
    finally:
        platform.close()


def calls_in_flight(platform, part):
    metrics = requests.get(platform.internal + "/metrics", timeout=20).text
    return f'tradepost_rpc_server_inflight{{server="{part}"}} 1\n' in metrics
