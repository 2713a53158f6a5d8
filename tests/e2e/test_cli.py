"""The one binary's command line."""

import json
import re
import subprocess

import pytest

from platform_under_test import BINARY, CONFIG, PARTS, PASSWORD, ROOT, SERVICES, User, clean_environment


def tradepost(*arguments, environment=None, **options):
    return subprocess.run([BINARY, *arguments], cwd=options.pop("cwd", ROOT), timeout=20, capture_output=True, text=True,
                          env=clean_environment(**(environment or {})), check=False, **options)


def test_help_tells_commands_options_and_parts():
    done = tradepost("--help")
    assert done.returncode == 0 and done.stderr == ""
    for word in ("--target", "--config", "--check-config", "--version", "--set", "admin", "call", "health", *PARTS):
        assert word in done.stdout


def test_version_is_one_line():
    done = tradepost("--version")
    assert done.returncode == 0 and re.fullmatch(r"tradepost \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments, said", [
    (["--no-such"], "--help"), (["--target=nobody"], "nobody"), (["--target="], "--target"),
    (["--target=wallet,nobody"], "nobody"), (["dance"], "dance"), (["call"], "METHOD"), (["admin", "dance"], "admin"),
    (["--set", "no.such=1", "--check-config"], "no.such"), (["--set", "nonsense", "--check-config"], "nonsense"),
    (["--set", "wallet.workers=0", "--check-config"], "wallet.workers"),
    (["--set", "wallet.workers=many", "--check-config"], "wallet.workers"),
    (["--config=/no/such/file", "--check-config"], "/no/such/file"),
])
def test_wrong_usage_exits_2_and_says_what_was_wrong(arguments, said, tmp_path):
    done = tradepost(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and done.stdout == ""


def test_the_shipped_configuration_is_good_and_the_default():
    done = tradepost(f"--config={CONFIG}", "--check-config")
    assert (done.returncode, done.stderr) == (0, "")
    shipped = tradepost(f"--config={CONFIG}", "--dump-config").stdout
    assert shipped == tradepost("--dump-config").stdout
    with open(CONFIG) as file:
        written = file.read().partition("\n\n")[2].splitlines()  # below its own words
    assert len(written) > 100
    for ours, dumped in zip(written, shipped.splitlines(), strict=True):
        assert ours == dumped or "***" in dumped


@pytest.mark.parametrize("text, line, said", [
    ("wallet:\n  workers: 4\n  no_such: 1\n", 3, "no_such"), ("wallet:\n  workers: many\n", 2, "workers"),
    ("data_dir: d\nwallet:\n  workers: 100000\n", 3, "workers"), ("users:\n  bcrypt_cost: 3\n", 2, "bcrypt_cost"),
    ("assets:\n  - asset: EUR\n    scale: 2\n    titel: Euro\n", 4, "titel"),
    ("wallet:\n  workers: 4\n  workers: 5\n", 3, "workers"), ("wallet: [\n", 1, "wallet"), ("data_dir: \"d\n", 2, ""), ("\t\n", 1, ""),
])
def test_a_bad_file_is_refused_with_its_name_and_line(tmp_path, text, line, said):
    file = tmp_path / "bad.yml"
    file.write_text(text)
    done = tradepost(f"--config={file}", "--check-config")
    assert done.returncode == 2
    assert f"{file}:{line}" in done.stderr and said in done.stderr, done.stderr


def test_what_is_dumped_can_be_loaded_and_hides_secrets(tmp_path):
    secret = "ab" * 32
    dumped = tradepost("--set", "wallet.workers=7", "--set", f"rpc.principal_key={secret}", "--dump-config").stdout
    assert secret not in dumped and "workers: 7" in dumped
    file = tmp_path / "dumped.yml"
    file.write_text("\n".join(line for line in dumped.splitlines() if "***" not in line) + "\n")
    assert tradepost(f"--config={file}", "--check-config").returncode == 0


def test_the_later_word_wins_file_environment_flag(tmp_path):
    file, secret = tmp_path / "c.yml", tmp_path / "secret"
    file.write_text("wallet:\n  workers: 5\ntrading:\n  workers: 5\nusers:\n  workers: 5\n")
    secret.write_text("/somewhere\n")
    dumped = tradepost(f"--config={file}", "--set", "users.workers=7", "--dump-config",
                       environment={"TRADEPOST_TRADING_WORKERS": "6", "TRADEPOST_USERS_WORKERS": "6",
                                    "TRADEPOST_DATA_DIR_FILE": str(secret)}).stdout
    workers = re.findall(r"^(\w+):|^  workers: (\d+)", dumped, re.M)
    found = {}
    for section, count in workers:
        part = section or part
        if count:
            found[part] = count
    assert (found["wallet"], found["trading"], found["users"]) == ("5", "6", "7")
    assert 'data_dir: "/somewhere"' in dumped


def test_an_unknown_variable_is_refused():
    done = tradepost("--check-config", environment={"TRADEPOST_WALET_WORKERS": "6"})
    assert done.returncode == 2 and "TRADEPOST_WALET_WORKERS" in done.stderr


# ---- against a running platform ----

def test_call_reaches_any_method_by_reflection(platform):
    done = platform.run("call", "wallet.Wallet/ListAssets", "{}")
    assert done.returncode == 0, done.stderr
    assert {a["asset"] for a in json.loads(done.stdout)["items"]} >= {"BTC", "USDT"}
    done = platform.run("call", "trading.Trading/GetTicker", '{"symbol":"BTC-USDT"}')
    assert json.loads(done.stdout)["symbol"] == "BTC-USDT"
    done = platform.run("call", "wallet.Wallet/Audit")
    assert json.loads(done.stdout)["balanced"] is True


@pytest.mark.parametrize("arguments, said", [
    (["wallet.Wallet/NoSuch", "{}"], "NoSuch"), (["no.Such/Method", "{}"], "no"),
    (["trading.Trading/GetTicker", '{"symbol":"DOGE-USDT"}'], "unknown_market"),
    (["trading.Trading/GetTicker", "{"], ""), (["trading.Trading/GetTicker", '{"surprise":1}'], "surprise"),
])
def test_a_call_that_fails_exits_1_and_says_why(platform, arguments, said):
    done = platform.run("call", *arguments)
    assert done.returncode == 1 and said in done.stderr and done.stdout == ""


def test_health_asks_every_part(platform):
    done = platform.run("health")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == list(SERVICES)
    assert all(line.endswith(": serving") for line in done.stdout.splitlines())
    assert platform.run("health", "wallet").stdout == "wallet: serving\n"


def test_health_of_what_does_not_run_exits_1(new_platform):
    done = new_platform().run("health")
    assert done.returncode == 1 and "serving" not in done.stdout.replace("not serving", "")


def test_an_admin_is_created_with_a_password_from_stdin_or_a_file(platform, tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    for name, more, stdin in (("by-stdin", [], PASSWORD + "\n"), ("by-file", [f"--password-file={file}"], "")):
        done = platform.run("admin", "create", f"--email={name}@example.com", f"--username={name}", *more, input=stdin)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        assert User(platform, f"{name}@example.com").log_in().get("/users/me")["role"] == "ROLE_ADMIN"
    again = platform.run("admin", "create", "--email=by-file@example.com", "--username=by-file", input=PASSWORD + "\n")
    assert again.returncode == 1 and "taken" in again.stderr


@pytest.mark.parametrize("password", ["", "short", "p" * 73])
def test_an_admin_with_a_bad_password_is_not_created(platform, password):
    done = platform.run("admin", "create", "--email=weak@example.com", "--username=weak", input=password + "\n")
    assert done.returncode in (1, 2) and "password" in done.stderr


def test_two_processes_do_not_share_a_directory(platform):
    target = platform.targets[-1] if platform.shape == "one" else "wallet"
    second = subprocess.run(platform.command(target, f"--target={target}"), cwd=ROOT, env=clean_environment(),
                            capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert platform.guest().get("/assets")["items"], "the first one did not notice"
