"""The platforms that tests share, and what their processes said when a test fails."""

import pytest

from edge_under_test import Edge
from platform_under_test import BINARY, SHAPES, Platform

LOG_SHOWN = 4000


def pytest_sessionstart(session):
    import os
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is missing: cmake --preset release && cmake --build --preset release", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, Platform):
            report.sections.append((f"the platform ({value.shape})", value.log()[-LOG_SHOWN:]))
        if isinstance(value, Edge):
            report.sections.append(("the edge", value.log()[-LOG_SHOWN:]))
            report.sections.append(("the platform behind it", value.platform.log()[-LOG_SHOWN:]))


@pytest.fixture(scope="session", params=SHAPES)
def platform(request, tmp_path_factory):
    """A running platform that the tests share: what a test needs of it, it makes for itself."""
    p = Platform(tmp_path_factory.mktemp(request.param), request.param)
    try:
        yield p.start()
        p.stop()
    finally:
        p.close()


@pytest.fixture
def new_platform(tmp_path):
    """new_platform(shape, **settings): not started yet, of this test alone."""
    made = []

    def make(shape="one", settings=None):
        made.append(Platform(tmp_path / f"platform-{len(made)}", shape, settings))
        return made[-1]

    yield make
    for p in made:
        p.close()


@pytest.fixture(scope="session")
def edge(tmp_path_factory):
    """A running edge in front of a platform of its own: tests share both."""
    directory = tmp_path_factory.mktemp("edge")
    behind = Platform(directory / "platform", "one")
    front = None
    try:
        front = Edge(directory, behind.start())
        yield front.start()
    finally:
        if front:
            front.close()
        behind.close()


@pytest.fixture
def new_edge(tmp_path, new_platform):
    """new_edge(**settings): of this test alone, running, in front of a new platform."""
    made = []

    def make(**settings):
        made.append(Edge(tmp_path, new_platform("one", settings).start()))
        return made[-1].start()

    yield make
    for front in made:
        front.close()


@pytest.fixture(params=SHAPES)
def alone(request, new_platform):
    """A running platform of this test alone, to be stopped and killed."""
    return new_platform(request.param).start()


@pytest.fixture
def people(platform):
    """people(USDT="100"): a new user; leaves no orders in the books."""
    made = []

    def make(name=None, **funds):
        made.append(platform.user(name, **funds))
        return made[-1]

    yield make
    for user in made:
        if user.token and user.call("GET", "/users/me").status_code == 200:
            user.delete("/orders")


@pytest.fixture
def ann(people):
    return people("ann", USDT="1000000", BTC="100", ETH="1000")


@pytest.fixture
def bob(people):
    return people("bob", USDT="1000000", BTC="100", ETH="1000")
