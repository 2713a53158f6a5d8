"""scripts/certs: a CA for private names only, a certificate that renews itself, and how to trust them."""

import os
import re
import shutil
import ssl
import subprocess

import pytest

from platform_under_test import ROOT, clean_environment

FILES = {"ca.pem", "ca.key", "server.pem", "server.key", "names"}


def certs(directory, *arguments, check=True):
    return subprocess.run([ROOT / "scripts/certs", "--data", directory, *arguments], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, check=check, env=clean_environment())


def openssl(*arguments, check=True, **options):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=check,
                          **options)


def contents(directory):
    return {f.name: f.read_bytes() for f in (directory / "certs").iterdir()}


def names(directory):
    text = openssl("x509", "-in", directory / "certs/server.pem", "-noout", "-ext", "subjectAltName").stdout
    return set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", text))


def days_left(file):
    info = ssl._ssl._test_decode_cert(str(file))  # the parser of getpeercert(), for a file
    return (ssl.cert_time_to_seconds(info["notAfter"]) - ssl.cert_time_to_seconds(info["notBefore"])) / 86400


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    directory = tmp_path_factory.mktemp("first")
    certs(directory)
    return directory


@pytest.fixture
def made(first, tmp_path):
    """What a first run made; a copy for this test."""
    return shutil.copytree(first, tmp_path / "data")


def test_a_ca_and_a_certificate_that_it_signed_are_made_and_keys_are_private(made):
    assert contents(made).keys() == FILES
    for file in FILES:
        assert (os.stat(made / "certs" / file).st_mode & 0o077 == 0) == file.endswith(".key")
    openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", made / "certs/ca.pem",
            made / "certs/server.pem")
    assert {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"} <= names(made)
    assert days_left(made / "certs/server.pem") == 397 and days_left(made / "certs/ca.pem") == 3650


def test_a_second_run_changes_nothing(made):
    before = contents(made)
    assert certs(made).stderr == "" and contents(made) == before


def test_more_names_are_added_and_stay(made):
    before = contents(made)
    certs(made, "--name", "trade.test", "--name", "192.168.1.5")
    assert {"localhost", "trade.test", "192.168.1.5"} <= names(made)
    assert contents(made)["ca.pem"] == before["ca.pem"]
    after = contents(made)
    certs(made, "--name", "trade.test")
    assert contents(made) == after
    certs(made, "--renew")
    assert {"trade.test", "192.168.1.5"} <= names(made) and contents(made)["server.pem"] != after["server.pem"]


@pytest.mark.parametrize("name, said", [("www.example.com", "private names"), ("8.8.8.8", "private names"),
                                        ("2001:db8::1", "private names"), ("a b", "no name"), ("*", "no name"),
                                        ("x,DNS:y.test", "no name")])
def test_a_public_or_wrong_name_is_refused_and_nothing_changes(made, name, said):
    before = contents(made)
    done = certs(made, "--name", name, check=False)
    assert done.returncode == 1 and said in done.stderr
    after = contents(made)
    after.pop("openssl.log", None)
    assert after == before


def test_the_ca_is_not_believed_about_public_names_even_by_who_has_its_key(made, tmp_path):
    key, request, signed, extensions = (tmp_path / n for n in ("k", "r", "c", "e"))
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=x", "-out", request)
    for name, good in (("DNS:bank.example.com", False), ("IP:8.8.8.8", False), ("DNS:my.test", True)):
        extensions.write_text(f"subjectAltName={name}\n")
        openssl("x509", "-req", "-in", request, "-CA", made / "certs/ca.pem", "-CAkey", made / "certs/ca.key",
                "-set_serial", "7", "-extfile", extensions, "-out", signed)
        done = openssl("verify", "-CAfile", made / "certs/ca.pem", signed, check=False)
        assert (done.returncode == 0) == good, done.stdout + done.stderr


def reissue(directory, days):
    """As if the certificate had been made so long ago that so many days are left."""
    directory = directory / "certs"
    request = directory.parent / "request"
    openssl("x509", "-x509toreq", "-in", directory / "server.pem", "-signkey", directory / "server.key",
            "-copy_extensions", "copy", "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", directory / "ca.pem", "-CAkey", directory / "ca.key",
            "-copy_extensions", "copy", "-days", days, "-set_serial", "7", "-out", directory / "server.pem")


@pytest.mark.parametrize("days, renewed", [(29, True), (31, False)])
def test_a_certificate_is_renewed_when_less_than_thirty_days_are_left(made, days, renewed):
    certs(made, "--name", "trade.test")
    reissue(made, days)
    before = contents(made)
    certs(made)
    assert (contents(made)["server.pem"] != before["server.pem"]) == renewed
    assert contents(made)["ca.pem"] == before["ca.pem"] and "trade.test" in names(made)


@pytest.mark.parametrize("lost", ["server.key", "server.pem"])
def test_what_was_lost_or_cut_short_is_made_anew(made, lost):
    before = contents(made)
    (made / "certs" / lost).write_text("")
    certs(made)
    openssl("verify", "-CAfile", made / "certs/ca.pem", made / "certs/server.pem")
    assert contents(made)["ca.pem"] == before["ca.pem"] and contents(made)[lost]


def test_it_tells_how_to_trust_the_ca(made):
    before = contents(made)
    text = certs(made, "--trust").stdout
    for word in (str(made / "certs/ca.pem"), "update-ca-certificates", "certutil", "security add-trusted-cert",
                 "curl --cacert", "NODE_EXTRA_CA_CERTS", "Firefox", "Fingerprint"):
        assert word in text
    assert contents(made) == before


@pytest.mark.parametrize("script", ["certs", "edge", "up"])
def test_help_is_told_and_wrong_usage_refused(script):
    done = subprocess.run([ROOT / "scripts" / script, "--help"], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.startswith(f"Usage: scripts/{script}") and done.stderr == ""
    done = subprocess.run([ROOT / "scripts" / script, "--nonsense"], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 1 and "error:" in done.stderr
