"""`python -m local_api --data-dir DIR --port 8000 --engine lora|mock`"""

import logging
import sys

from local_api.daemon import run
from local_api.settings import from_command_line

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    sys.exit(run(from_command_line()))
