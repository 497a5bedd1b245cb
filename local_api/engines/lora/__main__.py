"""Fetch and prepare the models; nothing to do where they are.

    python -m local_api.engines.lora [--cache-dir DIR] [--base-model NAME]
"""

import argparse
import sys
from pathlib import Path

import platformdirs

from local_api.engines.lora.base_models import fetch, prepare
from local_api.engines.lora.other_models import find_other
from local_api.engines.protocols import EngineError


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m local_api.engines.lora", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=platformdirs.user_cache_path("fine-tuning-cookbook"),
        help="where models are kept (default: %(default)s)",
    )
    parser.add_argument("--base-model", help="prepare this model too: a name on the Hugging Face Hub, or a folder")
    arguments = parser.parse_args()
    try:
        fetch(arguments.cache_dir)
        prepare(arguments.cache_dir)
        if arguments.base_model:
            find_other(arguments.base_model, arguments.cache_dir, print)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Models are ready in {arguments.cache_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
