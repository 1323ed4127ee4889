"""The library on tensors of a pretended GPU: nothing is left behind on the processor."""

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_nothing_is_left_on_the_processor() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.devices.pretended"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count = re.fullmatch(r"(\d+) passes on tensors of a pretended GPU\n", done.stdout)
    assert count is not None, done.stdout
    assert int(count[1]) > 70
