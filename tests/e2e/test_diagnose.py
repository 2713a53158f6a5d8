"""scripts/diagnose: says that a healthy platform is well, and of a broken one what is broken."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from edge_under_test import Edge
from platform_under_test import PASSWORD, ROOT, SERVICES, clean_environment, free_port, wait_until

HEALTHY = {"data directory", "disk", "parts and cache", "store", "file descriptors", "RPC", "RPC by reflection", "login", "clock",
           "a call with the token", *(f"RPC of {part}" for part in SERVICES),
           *(f"the gateway reaches {name}" for name in (*SERVICES, "cache")),
           *(f"{what} {name}" for what in ("TLS of", "HTTP of", "behind the edge:")
             for name in ("login", "main", "rest", "guest")),
           *(f"WebSocket of {name}" for name in ("login", "main", "guest")), "event stream", "the gateway"}


class Patient:
    """A platform, its edge, and what is said about them."""

    def __init__(self, platform):
        self.platform = platform.start()
        self.data = platform.data(platform.targets[-1])
        self.edge = Edge(self.data, platform).start()
        self.user = platform.user("ann")

    def diagnose(self, *arguments, **environment):
        """(exit status, {check: [result, found, right]}), checks without their addresses."""
        done = self.run("--json", "--quick", "--data", self.data, *arguments, "--", *self.platform.options("gateway"),
                        DIAGNOSE_EMAIL=self.user.email, DIAGNOSE_PASSWORD=PASSWORD, **environment)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines and done.stderr == "", done.stderr
        return done.returncode, {line["check"].split(" (")[0]: (line["result"], line["found"], line["right"])
                                 for line in lines}

    @staticmethod
    def run(*arguments, **environment):
        done = subprocess.run([ROOT / "scripts/diagnose", *arguments], capture_output=True, text=True, timeout=120,
                              check=False, env=clean_environment(**environment))
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    def failing(self, *arguments, **environment):
        status, found = self.diagnose(*arguments, **environment)
        assert status == 2
        return {check: found[check] for check in found if found[check][0] == "fail"}


@pytest.fixture(params=["one", "split"])
def patient(new_platform, request):
    made = Patient(new_platform(request.param))
    yield made
    made.edge.close()


@pytest.fixture
def split(new_platform):
    made = Patient(new_platform("split"))
    yield made
    made.edge.close()


def test_a_healthy_platform_is_well(patient):
    status, found = patient.diagnose()
    assert {check: found[check] for check in found if found[check][0] != "ok"} == {}
    assert set(found) == HEALTHY
    assert status == 0
    assert "TLSv1.3, h2, localhost" in found["TLS of rest"][1]


def test_from_outside_it_is_asked_by_url(patient):
    """Its ports must stand in a row, as they do by default."""
    done = patient.run("--quick", "--url", f"https://localhost:{free_port()}", "--ca", patient.edge.ca)
    assert done.returncode == 2 and "nobody listens there" in done.stdout and "data directory" not in done.stdout


def test_every_line_says_what_was_found_and_what_would_be_right(split):
    split.platform.kill("wallet")
    done = split.run("--quick", "--data", split.data, "--", *split.platform.options("gateway"))
    assert done.returncode == 2
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        assert word in ("ok", "warn", "FAIL")
        assert rest.count(" — ") >= (1 if word == "ok" else 2), line


def test_a_dead_cache_is_named(split):
    split.platform.servers[0].kill()
    wait_until(lambda: "the gateway reaches cache" in split.failing(), 30, "the cache to be missed")


def test_a_store_that_hangs_is_named(split):
    mongo = split.platform.servers[1]
    children = subprocess.run(["pgrep", "-P", str(mongo.pid)], capture_output=True, text=True, check=False).stdout.split()
    pids = [mongo.pid, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: "the store" in split.failing().get("store", ("", ""))[1], 60, "the store to be missed")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_dead_part_is_named(split):
    def missed():
        """What fails, when all who miss the wallet have noticed."""
        found = split.failing()
        known = {"the gateway reaches wallet", "RPC of wallet", "RPC of trading", "RPC"} <= set(found)
        return found if known and "wallet" in found["RPC of trading"][1] else None

    split.platform.kill("wallet")
    assert "RPC of users" not in wait_until(missed, 60, "the wallet to be missed")


def test_a_wrong_certificate_is_told(patient, tmp_path):
    (tmp_path / "certs").mkdir()
    subprocess.run([ROOT / "scripts/certs", "--data", tmp_path], cwd=ROOT, check=True, capture_output=True,
                   env=clean_environment(), timeout=60)
    found = patient.failing("--ca", tmp_path / "certs/ca.pem")
    assert "the certificate is not accepted" in found["TLS of rest"][1]
    status, found = patient.diagnose("--ca", tmp_path / "certs/ca.pem", "--insecure")
    assert status == 1 and found["TLS of rest"][0] == "warn" and found["WebSocket of main"][0] == "ok"


def test_a_closed_port_is_told(patient):
    ports = json.loads((patient.data / "edge.ports").read_text())
    (patient.data / "edge.ports").write_text(json.dumps(ports | {"guest": free_port()}))
    found = patient.failing()
    assert set(found) <= {"TLS of guest", "HTTP of guest"} and "nobody listens" in found["TLS of guest"][1]


def test_a_gateway_that_stands_is_told_at_the_edge_too(patient):
    patient.platform.kill(patient.platform.targets[-1])
    found = patient.failing()
    assert "nobody listens there" in found["the gateway"][1]
    assert "502" in found["HTTP of rest"][1] or "503" in found["HTTP of rest"][1]


def test_a_wrong_password_fails_only_what_needs_it(patient):
    patient.user.email = "nobody@example.com"
    assert set(patient.failing()) == {"login"}


def test_files_that_others_can_read_are_told(new_platform):
    platform = new_platform().start()
    data = platform.data("all")
    data.chmod(0o755)
    (data / "users.db").chmod(0o644)
    done = Patient.run("--quick", "--data", data, "--", *platform.options())
    assert "users.db can be read by other users" in done.stdout and "chmod go= " in done.stdout
    assert "warn edge" in done.stdout and done.returncode == 1
    (data / "users.db").chmod(0o600)
    assert "can be read by" not in Patient.run("--quick", "--data", data, "--", *platform.options()).stdout


def test_the_heart_of_a_stream_is_waited_for(new_platform):
    platform = new_platform().start()
    done = Patient.run("--data", platform.data("all"), "--", *platform.options())
    assert "its heart beats" in done.stdout, done.stdout


@pytest.mark.parametrize("arguments,says", [
    (["--url", "trade.example.com"], "--url must be like"),
    (["--ca", "/nowhere.pem", "--url", "https://localhost"], "--ca: "),
    (["--what"], "unrecognized arguments"),
])
def test_wrong_usage_is_told(arguments, says):
    done = Patient.run(*arguments)
    assert done.returncode == 2 and says in done.stderr and done.stdout == ""


def test_where_nothing_was_started_it_says_so(tmp_path):
    done = Patient.run("--data", tmp_path / "none")
    assert done.returncode == 2 and "FAIL data directory" in done.stdout
    done = Patient.run("--data", tmp_path)
    assert done.returncode == 2 and "scripts/up" in done.stdout
    assert shutil.disk_usage(tmp_path).total and "disk" in done.stdout


def test_help_says_how(tmp_path):
    done = Patient.run("--help")
    assert done.returncode == 0
    for word in ("--data", "--url", "--ca", "--insecure", "--json", "DIAGNOSE_EMAIL", "Exit status"):
        assert word in done.stdout
