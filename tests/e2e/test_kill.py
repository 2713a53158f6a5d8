"""The power fails under load, again and again: nothing acknowledged is lost, nothing happens twice.

TRADEPOST_LONG=1 kills fifty times instead of five. TRADEPOST_SEED repeats a run's choices.
"""

import os
import random

import pytest

from load import Load
from platform_under_test import PARTS, let_pass

TIMES = 50 if os.environ.get("TRADEPOST_LONG") == "1" else 5
CLIENTS = 32


@pytest.fixture
def dice():
    seed = os.environ.get("TRADEPOST_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"\nTRADEPOST_SEED={seed}")
    return random.Random(seed)


def test_everything_acknowledged_survives_kill_9_under_load(new_platform, dice):
    platform = new_platform("one", {"trading.snapshot_size": 65536, "wallet.snapshot_bytes": 65536}).start()
    load = Load(platform, CLIENTS, dice.random())
    for n in range(TIMES):
        load.run_until(dice.randint(50, 500))
        platform.kill()
        if dice.random() < 0.4:  # and once more while it recovers
            platform.launch()
            let_pass(dice.uniform(0, 0.1))
            platform.kill()
        load.pause()
        platform.start()
        load.verify()
        print(f"kill {n + 1}: {load.total('acknowledged')} acknowledged, {load.total('unknown')} unknown so far")
    load.end()
    platform.stop()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_killed_under_load_comes_back_without_help(new_platform, dice, part):
    platform = new_platform("split").start()
    load = Load(platform, CLIENTS // 2, dice.random())
    for _ in range(2 if TIMES == 5 else 10):
        load.run_until(dice.randint(50, 200))
        platform.kill(part)
        let_pass(dice.uniform(0.05, 0.3))  # the others work on, as far as they can
        platform.start(part)
        load.run_until(50)
        load.pause()
        platform.wait_ready()
        load.verify()
    load.end()
    platform.stop()
