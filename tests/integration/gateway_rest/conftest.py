"""The platforms of these tests, and a client that sends exactly the bytes it is told to."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

from platform_under_test import Platform  # noqa: E402

ORIGIN = "https://app.example.com"
REQUEST_MS = 1200  # of the platform whose clients are slow


def make(directory, **settings):
    return Platform(directory, "one", {"gateway.origins": f"https://www.example.com, {ORIGIN}",
                                       "gateway.threads": 16, **settings})


def run(platform):
    """Starts it, hands it over, and stops it: it must exit 0, so no sanitizer has found anything."""
    try:
        yield platform.start()
        platform.stop()
    finally:
        if platform.processes:
            print(platform.log()[-4000:], file=sys.stderr)
        platform.close()


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    yield from run(make(tmp_path_factory.mktemp("platform")))


@pytest.fixture(scope="session")
def impatient(tmp_path_factory):
    """One that gives a request little time."""
    yield from run(make(tmp_path_factory.mktemp("impatient"), **{"gateway.request_ms": REQUEST_MS}))


@pytest.fixture
def ann(platform):
    return platform.user("ann")
