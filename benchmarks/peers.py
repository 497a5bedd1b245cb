"""Mock servers of the hosted API from PyPI and npm: what each is installed from, how it starts, and what it is told to answer.

Each is started as its own documentation says, with the plainest rule that answers the question, and otherwise with its own
defaults. Knows nothing of how they are measured.

    if missing(peer): install(peer)
    subprocess.Popen(peer.command(str(peer.path()), 8000), cwd=folder_with_its_files)

`python -m benchmarks.peers` installs them into the cache folder; nothing else uses the network.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

CACHE = platformdirs.user_cache_path("fine-tuning-cookbook") / "benchmark-peers"
KEY = "sk-local-benchmark"
REPLY = "It is on its way."  # to every question about a parcel
INSTALL_SECONDS = 600
Command = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server. `command`: from its program and a port; `files`: written into the folder that it is started in; `port_in`: the
    environment variable that tells its port, where no option does."""

    package: str
    version: str
    registry: str  # "PyPI" or "npm"
    program: str
    command: Command
    files: dict[str, str] = field(default_factory=dict)
    model: str = "gpt-4o"
    port_in: str = ""

    @property
    def title(self) -> str:
        return f"{self.package} {self.version} ({self.registry})"

    def folder(self) -> Path:
        return CACHE / self.registry / f"{self.package.replace('/', '-').lstrip('@')}-{self.version}"

    def path(self) -> Path:
        """Where its program is once it is installed."""
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        within = ("node_modules", ".bin") if self.registry == "npm" else (scripts,)
        return self.folder().joinpath(*within, self.program)


def mockoon() -> str:
    """The data file of a general mock server of HTTP, told the answer that the hosted API would give."""
    route = "c5e0c2f6-0000-4000-8000-000000000002"
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "gpt-4o",
              "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": REPLY}}]}
    response = {"uuid": "c5e0c2f6-0000-4000-8000-000000000003", "statusCode": 200, "latency": 0, "bodyType": "INLINE",
                "headers": [{"key": "Content-Type", "value": "application/json"}], "rules": [], "default": True,
                "body": json.dumps(answer)}
    return json.dumps({
        "uuid": "c5e0c2f6-0000-4000-8000-000000000001", "lastMigration": 33, "name": "chat", "port": 3000, "hostname": "",
        "endpointPrefix": "", "latency": 0, "folders": [], "rootChildren": [{"type": "route", "uuid": route}], "headers": [],
        "proxyMode": False, "cors": False, "data": [], "callbacks": [],
        "routes": [{"uuid": route, "type": "http", "method": "post", "endpoint": "v1/chat/completions", "responseMode": None,
                    "responses": [response]}]})


PEERS = (
    Peer("@copilotkit/aimock", "1.43.0", "npm", "llmock",
         lambda program, port: [program, "--port", str(port), "--fixtures", "fixtures.json"],
         {"fixtures.json": f'{{"fixtures": [{{"match": {{"userMessage": "parcel"}}, "response": {{"content": "{REPLY}"}}}}]}}'}),
    Peer("@dwmkerr/mock-llm", "0.1.29", "npm", "mock-llm", lambda program, port: [program], port_in="PORT"),
    Peer("openai-mock-api", "0.4.0", "npm", "openai-mock-api",
         lambda program, port: [program, "--config", "config.yaml", "--port", str(port)],
         {"config.yaml": f"apiKey: '{KEY}'\nport: 3000\nresponses:\n- id: any\n  messages:\n  - {{role: user, matcher: any}}\n"
                         f"  - {{role: assistant, content: '{REPLY}'}}\n"}),
    Peer("@mockoon/cli", "9.9.0", "npm", "mockoon-cli",
         lambda program, port: [program, "start", "--data", "data.json", "--port", str(port), "--disable-log-to-file"],
         {"data.json": mockoon()}),
    Peer("fakellm", "0.3.5", "PyPI", "fakellm", lambda program, port: [program, "serve", "--port", str(port)],
         {"fakellm.yaml": f"rules:\n- name: any\n  when: {{messages_contain: parcel}}\n  respond: {{content: '{REPLY}'}}\n"}),
    Peer("llmock", "0.2.2", "PyPI", "llmock", lambda program, port: [program, "serve", "--port", str(port)]),
    Peer("mock-ai-api", "0.1.1", "PyPI", "mock-ai-api",
         lambda program, port: [program, "--openai-port", str(port), "--anthropic-port", str(port + 1)],
         model="gpt-4.1:mock-text"),
    Peer("stubllm", "0.1.5", "PyPI", "stubllm", lambda program, port: [program, "serve", "--port", str(port)],
         {"fixtures/chat.yaml": f"fixtures:\n- name: any\n  match: {{provider: openai}}\n  response: {{content: '{REPLY}'}}\n"}),
    Peer("mockllm", "0.0.8", "PyPI", "mockllm",
         lambda program, port: [program, "start", "--responses", "responses.yml", "--port", str(port)],
         {"responses.yml": f"responses:\n  'where is my parcel?': '{REPLY}'\ndefaults:\n  unknown_response: '{REPLY}'\n"
                           "settings:\n  lag_enabled: false\n"}),
    Peer("mocktopus", "0.2.0", "PyPI", "mocktopus",
         lambda program, port: [program, "serve", "-s", "scenario.yaml", "--port", str(port)],
         {"scenario.yaml": "version: 1\nrules:\n- type: llm.openai\n  when: {messages_contains: parcel}\n"
                           f"  respond: {{content: '{REPLY}'}}\n"}),
    Peer("ai-mock", "0.3.1", "PyPI", "ai-mock", lambda program, port: [program, "server", "--port", str(port)]),
    Peer("llm-mock-api", "0.1.2", "PyPI", "llm-mock-api",
         lambda program, port: [program, "start", "--port", str(port), "--fallback", REPLY]),
    Peer("fakeai", "0.3.2", "PyPI", "fakeai-server", lambda program, port: [program, "--port", str(port)]),
)


def missing(peer: Peer) -> bool:
    return not peer.path().exists()


def install(peer: Peer) -> str | None:
    """Bring a peer into the cache; None, or why that failed."""
    folder = peer.folder()
    folder.mkdir(parents=True, exist_ok=True)
    if peer.registry == "npm":
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder),
                   f"{peer.package}@{peer.version}"]
    else:
        venv.create(folder, with_pip=True)
        command = [str(peer.path().with_name("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                   f"{peer.package}=={peer.version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip()[-300:] or f"exit status {done.returncode}"


def main() -> None:
    for peer in PEERS:
        if missing(peer):
            print(f"{peer.title}: {install(peer) or 'installed'}", flush=True)


if __name__ == "__main__":
    main()
