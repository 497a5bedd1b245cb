"""Cold start: how long `connect()` takes with no server, and with one that runs; the peer is `import openai`.

Each time is that of a new Python process, as a notebook's kernel is one. The base model is in the cache.
"""

import os
import subprocess
import sys
import tempfile

from benchmarks.report import in_turn, table

ROUNDS = 3
TIMED = "import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
CONNECT = "import openai; from helpers import connect; start = time.perf_counter(); connect(announce=False)"
ASK = CONNECT + ("; client = connect(announce=False); base = client.models.list().data[0].id; "
                 "client.completions.create(model=base, prompt='a', max_tokens=1)")
STOP = "from helpers import stop_server; stop_server()"


def seconds(code: str, folder: str) -> float:
    """What the last statement of `code` took, in a process of its own; `start` may be set anew inside it."""
    done = subprocess.run([sys.executable, "-c", TIMED.format(code=code)], capture_output=True, text=True, check=True,
                          env={**os.environ, "LOCAL_API_DATA_DIR": folder})
    return float(done.stdout.split()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        def cold(code: str) -> float:
            seconds(STOP, folder)
            return seconds(code, folder)
        taken = in_turn({
            "import openai": lambda: seconds("import openai", folder),
            "import helpers": lambda: seconds("import helpers", folder),
            "connect(), no server": lambda: cold(CONNECT),
            "connect(), server running": lambda: seconds(CONNECT, folder),
            "connect() and a first answer of the base model, no server": lambda: cold(ASK),
        }, ROUNDS)
        seconds(STOP, folder)
    rows = [[name, value, value / taken["import openai"]] for name, value in taken.items()]
    print(table("Cold start", ["what", "seconds", "ratio"], rows,
                f"Median of {ROUNDS} new processes each, real engine, model in the cache."))


if __name__ == "__main__":
    main()
