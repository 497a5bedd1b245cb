"""A JupyterLab as `make lab` starts it, on the mock engine, and a headless Chromium that looks at it.

    def test_something(open_notebook):
        page = open_notebook("name", ["print(1)"])    # page.run(0), page.cell(0), page.picture("what_it_shows")
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import find_chromium  # noqa: E402  (a script, not installed)
from stop_server import stop  # noqa: E402

PICTURES = ROOT / "build" / "browser"
PATIENCE = 120  # seconds: for a page or a kernel to come up where the processor is busy with something else
STEP_SECONDS = "0.25"  # of the mock engine, so that a training lasts long enough to be watched
SETTINGS = {"notebook-extension/tracker": '{"windowingMode": "none"}'}  # cells out of sight are on the page, too
KERNEL_IS_READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.isReady && context.session?.kernel;
  return kernel && kernel.connectionStatus === "connected" && kernel.status === "idle";
}"""


class NotebookPage:
    """One notebook in JupyterLab."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def run(self, number: int) -> Locator:
        """Run a cell as a person does, and wait until it has run. Returns its output."""
        cell = self.cell(number)
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        for last_try in (False, False, True):
            self.page.wait_for_function(KERNEL_IS_READY)
            cell.locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            try:
                expect(prompt).not_to_have_text(before, timeout=15_000)
                break
            except AssertionError:  # JupyterLab loses what is run while it meets its kernel: a person would press again
                if last_try:
                    raise
        expect(prompt).not_to_have_text("[*]:")
        expect(cell.locator(".jp-OutputArea-output[data-mime-type*='stderr']")).to_have_count(0)
        return cell.locator(".jp-OutputArea")

    def restart_kernel(self) -> None:
        self.command("kernelmenu:restart")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)

    def command(self, name: str, **options: str) -> None:
        """A command of JupyterLab's menus. What it asks stays open."""
        self.page.evaluate("([name, options]) => { window.jupyterapp.commands.execute(name, options) }", [name, options])

    def picture(self, what: str, area: Locator) -> None:
        """Screenshots for people to look at, in the light theme and in the dark one."""
        for theme in ("Dark", "Light"):
            self.command("apputils:change-theme", theme=f"JupyterLab {theme}")
            expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", "true" if theme == "Light" else "false")
            expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)  # it covers the page while the theme loads
            area.screenshot(path=PICTURES / f"{self.name}_{what}_{theme.lower()}.png")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium.find()
    assert path, find_chromium.WHAT_TO_DO
    with sync_playwright() as playwright:
        # The sandbox needs rights that containers do not give; the only page opened is our own.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab, with a token; `{}` takes a workspace (or the tabs of other tests are opened again) and a path."""
    state = tmp_path_factory.mktemp("lab")
    for name, text in SETTINGS.items():
        file = state / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_DATA_DIR": "jupyter",
               "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
               "LOCAL_API_DATA_DIR": "data"}
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "JPY_SESSION_NAME")}
    environment |= {name: str(state / folder) for name, folder in folders.items()}
    environment |= {"LOCAL_API_ENGINE": "mock", "LOCAL_API_MOCK_STEP_SECONDS": STEP_SECONDS}
    options = (f"--no-browser --port={port} --ServerApp.port_retries=0 --IdentityProvider.token=watch "
               "--LabApp.expose_app_in_browser=True")
    with (state / "lab.log").open("wb") as log:
        # Without its set-up, which whoever runs the tests has done: -o.
        process = subprocess.Popen(["make", "-o", "setup", "lab", f"ARGS={options}"], cwd=ROOT, env=environment, stdout=log,
                                   stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for_lab(f"http://127.0.0.1:{port}/api", process, state / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/workspaces/{{}}/tree/{{}}?token=watch"
    finally:
        stop_group(process)
        stop(state / "data")


def wait_for_lab(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab has not answered within {PATIENCE} s: {log.read_text()[-4000:]}")


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """make and JupyterLab, which ends its kernels."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def open_notebook(lab: str, browser: Browser) -> Iterator[Callable[[str, list[str]], NotebookPage]]:
    """Writes a notebook of code cells into build/browser/ and opens it."""
    expect.set_options(timeout=PATIENCE * 1000)
    pages: list[NotebookPage] = []

    def open_it(name: str, sources: list[str]) -> NotebookPage:
        PICTURES.mkdir(parents=True, exist_ok=True)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = PICTURES / f"{name}.ipynb"
        nbformat.write(notebook, path)
        page = browser.new_context(viewport={"width": 1400, "height": 1500}).new_page()
        pages.append(NotebookPage(page, name))
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(lab.format(name, path.relative_to(ROOT).as_posix()))
        expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(len(sources))
        return pages[-1]

    yield open_it
    for opened in pages:
        opened.page.screenshot(path=PICTURES / f"{opened.name}_at_the_end.png")  # what a test that failed has seen
        opened.page.context.close()
