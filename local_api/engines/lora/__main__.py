"""`python -m local_api.engines.lora [--cache-dir DIR]`: fetch and prepare the models; nothing to do where they are."""

import sys

from local_api.engines.lora.base_models import main

if __name__ == "__main__":
    sys.exit(main())
