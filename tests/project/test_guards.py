"""The guards of tests/conftest.py themselves: no network, no settings of the user's."""

import asyncio
import os
import socket

import pytest


def test_a_connection_to_another_machine_is_refused_with_its_address() -> None:
    with socket.socket() as client, pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        client.connect(("192.0.2.1", 80))


def test_a_host_name_is_refused_before_it_is_looked_up() -> None:
    with socket.socket() as client, pytest.raises(ConnectionRefusedError, match="tests use this machine alone"):
        client.connect_ex(("example.org", 443))


def test_an_asynchronous_connection_is_refused_too() -> None:
    with pytest.raises(ConnectionRefusedError, match="tests use this machine alone"):
        asyncio.run(asyncio.wait_for(asyncio.open_connection("192.0.2.1", 80), 5))


def test_a_connection_to_this_machine_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_no_key_or_setting_of_the_user_is_left() -> None:
    assert [name for name in os.environ if name.startswith(("OPENAI_", "LOCAL_API_", "COOKBOOK_"))] == []
