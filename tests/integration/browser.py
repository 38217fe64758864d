"""A real Chromium without a window, driven over its own protocol: what a person at the console sees."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import aiohttp

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def missing() -> str | None:
    """Return why there is no browser, None where there is one."""
    return None if any(map(shutil.which, PROGRAMS)) else f"no browser found: none of {', '.join(PROGRAMS)}"


class Browser:
    """One page of a browser that keeps what its console says."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._next, self._answers = 0, {}
        self.complaints: list[str] = []

    async def __aenter__(self) -> Self:
        self._start()
        port = await self._port()
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            (page, *_) = [one for one in await answer.json() if one["type"] == "page"]
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        return self

    def _start(self) -> None:
        program = next(filter(None, map(shutil.which, PROGRAMS)))
        self._log = (self._directory / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--disable-extensions", "--hide-scrollbars",
             "--remote-debugging-port=0", "--remote-allow-origins=*",
             f"--user-data-dir={self._directory / 'chromium'}", "about:blank"],
            stdout=self._log, stderr=self._log, env={**os.environ, "HOME": str(self._directory)},
        )  # fmt: skip

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await self._session.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()

    async def _port(self) -> str:
        file = self._directory / "chromium" / "DevToolsActivePort"
        async with asyncio.timeout(60):
            while not (file.exists() and "\n" in file.read_text()):
                assert self._process.poll() is None, (self._directory / "chromium.log").read_text()
                await asyncio.sleep(0.05)
        return file.read_text().splitlines()[0]

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif complaint := _complaint(said):
                self.complaints.append(complaint)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command of the protocol and return what came of it."""
        self._next += 1
        answer = self._answers[self._next] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._next, "method": method, "params": parameters})
        said = await asyncio.wait_for(answer, 60)
        assert "error" not in said, said["error"]
        return said["result"]

    async def open(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def look(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def wait(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true; one that fails is not, yet."""
        guarded = f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        until = asyncio.get_running_loop().time() + seconds
        while not await self.look(guarded):
            assert asyncio.get_running_loop().time() < until, f"not within {seconds} s: {expression}"
            await asyncio.sleep(0.1)

    async def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text,
                            windowsVirtualKeyCode={"Tab": 9, "Enter": 13}.get(key, 0))  # fmt: skip

    async def type(self, text: str) -> None:
        await self.send("Input.insertText", text=text)

    async def size(self, width: int, height: int, scale: float = 1, *, phone: bool = False) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )

    async def scheme(self, name: str) -> None:
        """Prefer light or dark."""
        feature = {"name": "prefers-color-scheme", "value": name}
        await self.send("Emulation.setEmulatedMedia", features=[feature])

    async def photograph(self) -> bytes:
        """Return what is in sight, as PNG."""
        found = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(found["data"])


def _complaint(said: dict[str, Any]) -> str | None:
    """Return what the page's console, an exception or a refused request says; None for anything else."""
    about = said.get("params", {})
    if said["method"] == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
        return str([one.get("value", one.get("description")) for one in about["args"]])
    if said["method"] == "Runtime.exceptionThrown":
        details = about["exceptionDetails"]
        return str(details.get("exception", {}).get("description", details["text"]))
    if said["method"] == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
        return f"{about['entry']['text']} {about['entry'].get('url', '')}"
    return None
