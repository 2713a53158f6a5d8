"""Who somebody is: accounts, sessions, tokens, roles."""

import concurrent.futures
import json

import jwt
import pytest
import requests

from platform_under_test import PASSWORD, User, refused

REFRESH_COOKIE = "tp_refresh"


def refresh_cookie(user):
    return next(c for c in user.session.cookies if "refresh" in c.name)


def test_registering_makes_a_user_who_can_log_in(platform):
    user = platform.user("carol")
    me = user.get("/users/me")
    assert (me["userId"], me["email"], me["username"], me["role"]) == (user.id, user.email, user.name, "ROLE_USER")
    assert me["createdAt"].endswith("Z")


@pytest.mark.parametrize("what, change", [
    ("the e-mail", {"username": "somebody-else"}),
    ("the e-mail in other letters", {"username": "somebody-else", "email": "upper"}),
    ("the username", {"email": "other-address@example.com"}),
])
def test_what_is_taken_is_taken(platform, what, change):
    user = platform.user("taken")
    body = {"email": user.email, "username": user.name, "password": PASSWORD} | change
    if change.get("email") == "upper":
        body["email"] = user.email.upper()
    with refused(409, "user_exists"):
        platform.guest().post("/auth/register", body)


@pytest.mark.parametrize("field, value", [
    ("email", ""), ("email", "no-at-sign"), ("email", "two@at@signs"), ("email", "a@" + "b" * 300),
    ("username", ""), ("username", "1digit"), ("username", "with space"), ("username", "u" * 33),
    ("password", ""), ("password", "7 bytes"), ("password", "p" * 73), ("password", "with\u0007bell"),
])
def test_a_bad_registration_names_the_field(platform, field, value):
    body = {"email": "good@example.com", "username": "good", "password": PASSWORD} | {field: value}
    with refused(400, field=field):
        platform.guest().post("/auth/register", body)


def test_a_password_of_72_bytes_counts_to_its_last_byte(platform):
    guest = platform.guest()
    body = {"email": "long-password@example.com", "username": "long-password", "password": "p" * 72}
    guest.post("/auth/register", body)
    assert guest.post("/auth/login", {"email": body["email"], "password": "p" * 72})["accessToken"]
    with refused(401, "bad_credentials"):
        guest.post("/auth/login", {"email": body["email"], "password": "p" * 71 + "q"})


def test_a_wrong_password_and_a_stranger_are_refused_alike(platform):
    user = platform.user("victim")
    answers = []
    for email, password in ((user.email, "not the password"), ("nobody@example.com", PASSWORD)):
        with refused(401, "bad_credentials") as error:
            platform.guest().post("/auth/login", {"email": email, "password": password})
        answers.append(error[0].problem["detail"])
    assert answers[0] == answers[1]


def test_the_refresh_token_is_in_a_strict_cookie_and_in_no_body(platform):
    user = platform.user("cookie")
    response = user.call("POST", "/auth/login", {"email": user.email, "password": PASSWORD})
    assert not response.json().get("refreshToken")
    assert response.json()["tokenType"] == "Bearer" and response.json()["expiresIn"] == 900
    cookie = response.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/api/v1/auth"):
        assert part in cookie


def test_refreshing_rotates_and_gives_a_token_that_works(platform):
    user = platform.user("refresh")
    first = refresh_cookie(user).value
    tokens = user.post("/auth/refresh")
    assert refresh_cookie(user).value != first
    user.token = tokens["accessToken"]
    assert user.get("/users/me")["userId"] == user.id


def test_a_refresh_token_used_twice_revokes_the_whole_family(platform):
    user = platform.user("reuse")
    stolen = refresh_cookie(user)
    stolen_value, name = stolen.value, stolen.name
    user.token = user.post("/auth/refresh")["accessToken"]
    assert user.get("/users/me")

    thief = requests.post(platform.url + "/auth/refresh", json={}, cookies={name: stolen_value}, timeout=10)
    assert thief.status_code == 401 and thief.json()["code"] == "bad_refresh_token"
    with refused(401):
        user.post("/auth/refresh")
    with refused(401):
        user.get("/users/me")
    assert User(platform, user.email).log_in().get("/users/me"), "the account itself lives on"


def test_two_refreshes_at_once_never_both_win(platform):
    user = platform.user("race")
    cookie = refresh_cookie(user)

    def refresh(_):
        return requests.post(platform.url + "/auth/refresh", json={}, cookies={cookie.name: cookie.value},
                             timeout=10).status_code

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(refresh, range(4)))
    assert answers.count(200) <= 1 and set(answers) <= {200, 401}


def test_logging_out_ends_the_session_at_once_and_no_other(platform):
    user = platform.user("leaver")
    other = User(platform, user.email).log_in()
    user.post("/auth/logout")
    with refused(401):
        user.get("/users/me")
    with refused(401):
        user.post("/auth/refresh")
    assert other.get("/users/me")["userId"] == user.id


def test_access_tokens_are_verified_by_the_published_keys(platform):
    user = platform.user("jwks")
    keys = requests.get(platform.origin + "/.well-known/jwks.json", timeout=10).json()["keys"]
    header = jwt.get_unverified_header(user.token)
    assert header["alg"] == "ES256"
    key = next(k for k in keys if k["kid"] == header["kid"])
    assert "d" not in key, "the private half"
    claims = jwt.decode(user.token, jwt.PyJWK(key).key, algorithms=["ES256"], options={"verify_aud": False})
    assert claims["sub"] == user.id
    assert claims["exp"] - claims["iat"] == 900


def forged(user, platform):
    head, body, signature = user.token.split(".")
    other = "A" if signature[10] != "A" else "B"
    claims = jwt.decode(user.token, options={"verify_signature": False})
    admin = jwt.encode(claims | {"role": "admin"}, "secret", algorithm="HS256",
                       headers={"kid": jwt.get_unverified_header(user.token)["kid"]})
    key = json.dumps(requests.get(platform.origin + "/.well-known/jwks.json", timeout=10).json()["keys"][0])
    return {
        "another signature": f"{head}.{body}.{signature[:10]}{other}{signature[11:]}",
        "no signature": f"{head}.{body}.",
        "alg none": jwt.encode(claims, None, algorithm="none"),
        "a MAC by a secret": admin,
        "a MAC by the public key": jwt.encode(claims, key, algorithm="HS256",
                                              headers={"kid": jwt.get_unverified_header(user.token)["kid"]}),
        "garbage": "garbage",
        "nothing": "",
    }


def test_a_forged_token_is_refused(platform):
    user = platform.user("forger")
    for what, token in forged(user, platform).items():
        response = requests.get(platform.url + "/users/me", headers={"Authorization": "Bearer " + token}, timeout=10)
        assert response.status_code == 401, what
        assert response.headers.get("WWW-Authenticate", "").startswith("Bearer"), what


def test_without_a_token_private_things_are_refused(platform):
    for verb, path in (("GET", "/users/me"), ("GET", "/wallet/balances"), ("GET", "/orders"), ("POST", "/orders"),
                       ("GET", "/admin/audit")):
        assert platform.guest().call(verb, path, {} if verb == "POST" else None).status_code == 401, path


def test_what_is_for_admins_is_refused_to_users(platform):
    user = platform.user("climber")
    with refused(403, "permission_denied"):
        user.get("/admin/audit")
    with refused(403, "permission_denied"):
        user.post("/admin/credits", {"transferId": "mine", "userId": user.id, "asset": "USDT", "amount": "1"})
    with refused(403, "permission_denied"):
        user.get(f"/admin/users/{user.id}")
    assert user.balance("USDT").total == 0
    assert platform.admin().get(f"/admin/users/{user.id}")["username"] == user.name
    assert platform.admin().get("/users/me")["role"] == "ROLE_ADMIN"


def test_what_is_for_services_is_not_there(platform):
    for path in ("/users.Users/CreateAdmin", "/admin", "/wallet/holds", "/auth/create-admin"):
        assert platform.admin().call("POST", path, {}).status_code == 404


def test_nobody_registers_as_an_admin(platform):
    with refused(400):
        platform.guest().post("/auth/register", {"email": "boss@example.com", "username": "boss",
                                                 "password": PASSWORD, "role": "ROLE_ADMIN"})
