"""scripts/edge: starting, reloading only what changed, stopping. Nothing need be behind it."""

import json
import re
import socket
import subprocess

import pytest

from platform_under_test import ROOT, clean_environment, wait_until

FREE = {"EDGE_PORTS": "0,0,0,0", "EDGE_ADDRESSES": "127.0.0.1"}


class Script:
    def __init__(self, directory):
        self.directory = directory

    def run(self, action, check=True, **environment):
        return subprocess.run([ROOT / "scripts/edge", action, "--data", self.directory], cwd=ROOT, check=check,
                              env=clean_environment(**(FREE | environment)), capture_output=True, text=True, timeout=60)

    def pid(self):
        return int((self.directory / "edge/nginx.pid").read_text())

    def workers(self):
        done = subprocess.run(["pgrep", "-P", str(self.pid())], capture_output=True, text=True, check=False)
        return set(done.stdout.split())

    def ports(self):
        return json.loads((self.directory / "edge.ports").read_text())

    def configuration(self):
        return (self.directory / "edge/nginx.conf").read_text()


@pytest.fixture
def script(tmp_path):
    subprocess.run([ROOT / "scripts/certs", "--data", tmp_path], check=True, capture_output=True, timeout=60)
    made = Script(tmp_path)
    yield made
    made.run("stop", check=False)


def test_it_starts_reloads_when_something_changed_and_stops(script):
    assert script.run("status", check=False).returncode == 1
    script.run("start")
    first, ports = script.pid(), script.ports()
    assert script.run("status").returncode == 0
    for port in ports.values():
        socket.create_connection(("127.0.0.1", port), 10).close()

    script.run("start")
    before = wait_until(script.workers)
    assert (script.pid(), script.ports()) == (first, ports), "a second start changes nothing"
    script.run("start", EDGE_EXEMPT="10.0.0.0/8 fd00::/8")
    wait_until(lambda: script.workers() - before, 30, "workers with the new configuration")
    assert (script.pid(), script.ports()) == (first, ports) and "fd00::/8 1;" in script.configuration()

    script.run("stop")
    assert script.run("status", check=False).returncode == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports["rest"]), 10)


def test_a_port_that_is_taken_is_told_and_nothing_started(script):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = script.run("start", check=False, EDGE_PORTS=f"0,0,{port},0")
    assert done.returncode == 1 and f"port {port} is taken" in done.stderr
    assert script.run("status", check=False).returncode == 1


@pytest.mark.parametrize("environment, said", [
    ({"EDGE_PORTS": "1,2,3"}, "EDGE_PORTS"), ({"EDGE_GATEWAY_PORTS": "1"}, "EDGE_GATEWAY_PORTS"),
    ({"EDGE_CERT": "/no/such/file"}, "/no/such/file"), ({"EDGE_EXEMPT": "nonsense"}, "nonsense")])
def test_a_wrong_setting_is_refused_before_anything_starts(script, environment, said):
    done = script.run("start", check=False, **environment)
    assert done.returncode == 1 and said in done.stderr
    assert script.run("status", check=False).returncode == 1


def test_certificates_and_addresses_of_elsewhere_are_taken(script, tmp_path):
    """What containers say: the gateway is another host, the certificates and logs are somewhere."""
    other = tmp_path / "else where"
    subprocess.run([ROOT / "scripts/certs", "--data", other], check=True, capture_output=True, timeout=60)
    script.run("start", EDGE_GATEWAY="127.0.0.9", EDGE_CERT=str(other / "certs/server.pem"),
               EDGE_KEY=str(other / "certs/server.key"), EDGE_ACCESS_LOG=str(tmp_path / "my.log"))
    done = subprocess.run(["curl", "-sS", "--cacert", other / "certs/ca.pem", "-w", "\n%{http_code}",
                           f"https://localhost:{script.ports()['rest']}/health"], capture_output=True, text=True,
                          timeout=30, check=True)
    assert done.stdout.endswith("\n502"), "nobody is there"
    wait_until(lambda: (tmp_path / "my.log").exists() and '"status":502' in (tmp_path / "my.log").read_text())
    assert re.search(r"server 127\.0\.0\.9:8333;", script.configuration())


def test_what_is_written_has_no_place_left_open_and_knows_no_absolute_path(script):
    script.run("start")
    text = "".join(f.read_text() for f in (script.directory / "edge").glob("*.conf"))
    assert not re.search(r"@\w+@", text) and str(script.directory) not in text
