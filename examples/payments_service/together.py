"""Both processes from one terminal, to try them: the desk as a demo, and the payments service beside it.

``python examples/payments_service/together.py``. Run apart, on machines of their own, they need the same: two tokens,
and the trust file, brought over by a person.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TRUST = HERE / "trust.json"
COUNTERFOIL = [sys.executable, "-m", "counterfoil_server.cli"]
DESK = tomllib.loads((HERE / "desk" / "counterfoil.toml").read_text())["public_url"]


def main() -> int:
    """Start both, and stop both when one ends, on Ctrl-C or when killed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tokens = {name: secrets.token_hex(32) for name in ("PAYMENTS_FEED_TOKEN", "PAYMENTS_ORDERS_TOKEN")}
    environment = os.environ | tokens | {"PYTHONPATH": str(HERE.parent)}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.append(subprocess.Popen([*COUNTERFOIL, "demo", "--stay"], cwd=HERE / "desk", env=environment))
        while not answers(f"{DESK}/healthz"):
            if processes[0].poll() is not None:
                return processes[0].returncode
            time.sleep(0.2)
        if not TRUST.exists():
            # Pinned once: a desk that is started anew with other keys is another desk, and is not believed.
            made = subprocess.run(
                [*COUNTERFOIL, "prove", "--trust"], cwd=HERE / "desk", env=environment, stdout=subprocess.PIPE
            )
            made.check_returncode()
            TRUST.write_bytes(made.stdout)
        processes.append(subprocess.Popen([sys.executable, "-m", "payments_service"], env=environment))
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own address
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
