"""The server's settings, from the command line and the environment: the only reader of either.

    settings = from_command_line(["--data-dir", ".local_api", "--engine", "mock"])

Environment: LOCAL_API_DATA_DIR, LOCAL_API_ENGINE, LOCAL_API_KEY, LOCAL_API_CACHE_DIR, LOCAL_API_BASE_MODEL,
LOCAL_API_MOCK_STEP_SECONDS, LOCAL_API_KEYS. An option on the command line wins over its variable.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs

from local_api.engines import NAMES, default_engine
from local_api.faults import FaultSpec
from local_api.keys import KeysFileError, read

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths are absolute. `idle_shutdown`: seconds without a request or a job after which the server ends; None: never."""

    data_dir: Path
    cache_dir: Path
    engine: str
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None  # None: the one kept in the data directory
    keys: Path | None = None  # the keys file of a shared server
    base_model: str | None = None
    idle_shutdown: float | None = None
    mock_step_seconds: float = 0.0
    organization: str = "local"
    max_upload_bytes: int = 512 * 1024**2
    log: Literal["text", "json"] = "text"
    faults: FaultSpec | None = None

    @property
    def engine_options(self) -> dict[str, Any]:
        """What the engine's `create` takes besides the cache directory."""
        return {"step_seconds": self.mock_step_seconds} if self.engine == "mock" else {"base_model": self.base_model}

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line; defaults come from the environment."""
    result = argparse.ArgumentParser(prog="python -m local_api", description="The local fine-tuning API.")
    result.add_argument("--data-dir", type=Path, default=Path(environment.get("LOCAL_API_DATA_DIR") or ".local_api"),
                        help="where files, jobs and models are kept (default: %(default)s)")
    result.add_argument("--host", default="127.0.0.1",
                        help="address to listen on (default: this machine alone; elsewhere with --keys or LOCAL_API_KEY)")
    result.add_argument("--keys", type=Path, default=environment.get("LOCAL_API_KEYS") or None, metavar="FILE",
                        help="keys of a shared server: a project for each, with its limits (`cookbook keys add NAME` makes one)")
    result.add_argument("--port", type=int, default=8000, help="port; 0 takes a free one (default: %(default)s)")
    result.add_argument("--engine", choices=["auto", *NAMES], default=environment.get("LOCAL_API_ENGINE", "auto"),
                        help="lora trains a real model, mock answers at once without one; auto: lora where it is installed")
    result.add_argument("--base-model", default=environment.get("LOCAL_API_BASE_MODEL") or None,
                        help="another Llama-family model for the lora engine: a Hugging Face name or a folder")
    result.add_argument("--cache-dir", type=Path, help="where base models are kept (default: the user's cache)",
                        default=Path(environment.get("LOCAL_API_CACHE_DIR")
                                     or platformdirs.user_cache_path("fine-tuning-cookbook")))
    result.add_argument("--log", choices=["text", "json"], default="text",
                        help="json: requests and troubles as lines of JSON on standard error, without prompts and keys")
    result.add_argument("--faults", metavar="SPEC", help="make errors, for lessons and tests: 429=0.1,500=0.1,timeout=0.05,"
                        "slow=0.1,broken=0.1,seed=7 (shares of the requests; more in local_api/README.md)")
    result.add_argument("--idle-shutdown", type=float, metavar="SECONDS",
                        help="end after so long without a request or a job (default: never)")
    return result


def from_command_line(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings, or SystemExit with status 2 and a message that names the option."""
    command_line = parser(environment)
    options = command_line.parse_args(arguments)
    key = environment.get("LOCAL_API_KEY", "").strip() or None  # a key read from a file ends in a newline
    if options.host not in LOOPBACK and key is None and options.keys is None:
        command_line.error(f"--host {options.host} lets other machines in: set LOCAL_API_KEY to a key of your own first, or give "
                           "--keys FILE (`cookbook keys add NAME` makes one)")
    try:
        if options.keys is not None and not read(options.keys).projects:
            command_line.error(f"--keys {options.keys} has no key: make one with `cookbook keys add NAME`")
        faults = FaultSpec.parse(options.faults) if options.faults is not None else None
    except KeysFileError as error:
        command_line.error(f"--keys: {error}")
    except ValueError as error:
        command_line.error(f"--faults: {error}")
    if not 0 <= options.port <= 65535:
        command_line.error(f"--port must lie between 0 and 65535, not {options.port}")
    if options.idle_shutdown is not None and options.idle_shutdown <= 0:
        command_line.error(f"--idle-shutdown must be more than 0 seconds, not {options.idle_shutdown:g}")
    pace = environment.get("LOCAL_API_MOCK_STEP_SECONDS", "0")
    try:
        step_seconds = float(pace)
    except ValueError:
        command_line.error(f"LOCAL_API_MOCK_STEP_SECONDS must be a number of seconds, not {pace!r}")
    return Settings(
        data_dir=options.data_dir.resolve(), cache_dir=options.cache_dir.resolve(), host=options.host, port=options.port,
        engine=default_engine() if options.engine == "auto" else options.engine, api_key=key, base_model=options.base_model,
        idle_shutdown=options.idle_shutdown, mock_step_seconds=step_seconds, keys=options.keys and options.keys.resolve(),
        log=options.log, faults=faults)
