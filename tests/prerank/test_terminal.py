"""What the commands tell while they are at something."""

import time

from prerank.terminal import told_if_slow


def test_a_step_is_told_only_while_it_lasts_longer(capsys):
    with told_if_slow("quick", after=60):
        pass
    with told_if_slow("slow", after=0.01):
        deadline = time.monotonic() + 30
        found = ""
        while not found and time.monotonic() < deadline:
            time.sleep(0.01)
            found = capsys.readouterr().err
    assert found == "slow\n"
    with told_if_slow("over", after=0.2):
        pass
    time.sleep(0.3)
    assert capsys.readouterr() == ("", "")
