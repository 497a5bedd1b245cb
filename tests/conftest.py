"""What all tests share: no network beyond this machine, no settings of the user's, and the rule for tests of the real engine.

    def test_something(cache_dir): ...      # the folder that holds the base model
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import platformdirs
import pytest

HAS_TORCH = find_spec("torch") is not None
REASON = "torch is not installed (pip install -e .[local] brings it)"
USERS_OWN = ("OPENAI_", "LOCAL_API_", "COOKBOOK_")


def model_cache() -> Path:
    return platformdirs.user_cache_path("fine-tuning-cookbook")


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """The user's cache of base models, which `make setup` fills."""
    return model_cache()


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Keys, addresses and settings of whoever runs the tests must not decide what they do, nor cost money."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(USERS_OWN)]:
            patch.delenv(name)
        yield


def is_local(family: int, address: Any) -> bool:
    """Whether a socket's address is on this machine."""
    if family == getattr(socket, "AF_UNIX", None):
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Connections to other machines fail at once, with the address; what works only with a network is found here."""
    def guard(name: str) -> Any:
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any) -> Any:
            if not is_local(self.family, address):
                raise ConnectionRefusedError(f"a test tried to connect to {address!r}: tests use this machine alone")
            return original(self, address)
        return guarded

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard(name))
        yield


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Without PyTorch, the real engine's own tests cannot even be imported."""
    return True if not HAS_TORCH and collection_path.match("local_api/engines/lora") else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without PyTorch, tests marked `lora` are left out, and the summary says so. With several workers (`make test` has two)
    all tests of the real engine are one worker's, since two trainings at once only take each other's processor; else a file is."""
    for item in items:
        group = "lora" if item.get_closest_marker("lora") else item.nodeid if item.get_closest_marker("notebook") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    if HAS_TORCH:
        return
    left_out = [item for item in items if item.get_closest_marker("lora")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
