"""One llama.cpp server inside this process: a base model and the adapters that it was started with.

llama.cpp takes adapters only when it starts, and each request then says by what share each of them is applied. This
module speaks llama.cpp's parameters and chunks; it knows no asyncio, no pool, and none of the wire's formats.

    llama = Llama(Path("model.gguf"), (adapter,), slots=8, context=2048, threads=2)
    llama.complete([504, 3575], {"n_predict": 5}, adapter, on_chunk=print)
"""

import importlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from local_api.engines.lora.adapters import AdapterFile
from local_api.engines.lora.openmp import yielding_threads
from local_api.engines.protocols import AdapterError, EngineError

OnChunk = Callable[[Mapping[str, Any]], bool]  # true: no more is wanted


class Llama:
    """Blocking; `complete` may be called from several threads at once, up to `slots` of them answered together."""

    def __init__(self, gguf: Path, adapters: Sequence[AdapterFile], *, slots: int, context: int, threads: int) -> None:
        """About 0.7 s. `context`: tokens a slot holds, prompt and answer together."""
        xllamacpp = library()
        self.adapters = tuple(adapters)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.n_parallel, parameters.n_ctx = slots, slots * context
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = -1
        # llama.cpp's second cache of prompts, in main memory, does not ask which adapter a prompt was read with.
        parameters.cache_ram_mib = 0
        parameters.lora_init_without_apply = True
        parameters.lora_adapters = [_adapter_info(adapter) for adapter in adapters]
        door = _shut_the_door(parameters)
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            kind = AdapterError if adapters else EngineError
            names = ", ".join(str(adapter.path) for adapter in adapters)
            raise kind(f"llama.cpp could not load {gguf} with the adapters [{names}]: {error}") from error
        finally:
            shutil.rmtree(door, ignore_errors=True)

    def complete(
        self, prompt: Sequence[int], options: Mapping[str, Any], adapter: AdapterFile | None, on_chunk: OnChunk
    ) -> None:
        """Answer one prompt; `on_chunk` is called in this thread. EngineError for what llama.cpp refuses."""
        failure: list[BaseException] = []

        def receive(chunk: Mapping[str, Any]) -> bool:
            try:
                if "error" in chunk:
                    raise EngineError(f"llama.cpp refused the request: {chunk['error'].get('message')}")
                return on_chunk(chunk)
            except BaseException as error:  # llama.cpp swallows what a callback raises
                failure.append(error)
                return True

        shares = [{"id": number, "scale": float(known == adapter)} for number, known in enumerate(self.adapters)]
        request = {"prompt": list(prompt), "stream": True, "lora": shares, **options}
        self._server.handle_completions(request, receive)
        if failure:
            raise failure[0]


def library() -> Any:
    """The module xllamacpp; everything here takes it from this function, so that it is loaded in the right way."""
    with yielding_threads():
        return importlib.import_module("xllamacpp")


def _adapter_info(adapter: AdapterFile) -> Any:
    info = library().CommonAdapterLoraInfo()
    info.path, info.scale = str(adapter.path), 0.0
    return info


def _shut_the_door(parameters: Any) -> str:
    """llama.cpp's server also opens an HTTP port. Nobody is to come in: it gets a key that nobody has, and where there are
    Unix sockets one in a private folder, returned, that is deleted as soon as the server is up."""
    folder = tempfile.mkdtemp(prefix="llama-")
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.n_threads_http = 1
    if hasattr(socket, "AF_UNIX") and os.name == "posix":
        parameters.hostnames = [str(Path(folder) / "unused.sock")]
    return folder
