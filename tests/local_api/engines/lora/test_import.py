"""The server imports the engine at its start: that must load neither PyTorch nor llama.cpp."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "xllamacpp", "tokenizers", "numpy")


def test_importing_the_engine_loads_nothing_heavy() -> None:
    code = f"import sys, local_api.engines.lora; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
