"""Drives a headless Chromium by the DevTools protocol."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import websocket


class Page:
    """A page in a browser of its own; what goes wrong in it is kept in `faults`."""

    def __init__(self, url, dark=False, width=1440, height=900):
        self.folder = tempfile.mkdtemp(prefix="sipcore-chromium-")
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        if path is None:
            raise SystemExit("chromium is not installed; run `make peers`")
        self.process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-allow-origins=*",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder}", f"--window-size={width},{height}", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True)
        self.number, self.faults = 0, []
        for line in self.process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line)
            if found:
                break
        else:
            raise SystemExit("chromium did not start")
        os.set_blocking(self.process.stderr.fileno(), False)
        self.socket = websocket.create_connection(found.group(1), timeout=300, suppress_origin=True)
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ["Page", "Runtime", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.call("Page.navigate", {"url": url})
        self.until("location.href !== 'about:blank' && document.readyState === 'complete'")

    session = None

    def call(self, method, parameters=None):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters or {}}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        parameters = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description") or details["text"])
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            # That a form was refused, or a token wanted, is told to the user.
            if not re.search("status of 40[01]", parameters["entry"]["text"]):
                self.faults.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            self.faults.append(str([value.get("value") for value in parameters["args"]]))

    def value(self, expression):
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression, seconds=120):
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise AssertionError(f"never true: {expression}; {self.faults}; {self.value('document.body.innerText')[:2000]}")
            time.sleep(0.05)

    def key(self, key, text=None):
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "ArrowLeft": 37, "End": 35, "Home": 36, "Tab": 9}
        code = codes.get(key, ord(key.upper()[0]))
        data = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if text or len(key) == 1:
            data["text"] = text or key
        if key == "Enter":
            data["text"] = "\r"
        self.call("Input.dispatchKeyEvent", {"type": "keyDown", **data})
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", **{name: value for name, value in data.items() if name != "text"}})

    def type(self, text):
        self.call("Input.insertText", {"text": text})

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def faint(self):
        """Texts in sight that stand out too little from what is behind them (WCAG 2.2, 1.4.3), each with its contrast."""
        return self.value("""(() => {
            const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
            const parts = (color) => {
                canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
                return canvas.getImageData(0, 0, 1, 1).data;
            };
            const over = ([r, g, b, a], below) => [r, g, b].map((part, i) => part * a / 255 + below[i] * (1 - a / 255));
            const behind = (element) => {
                const layers = [];
                for (let at = element; at; at = at.parentElement) layers.push(parts(getComputedStyle(at).backgroundColor));
                return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
            };
            const light = (color) => {
                const [r, g, b] = color.map((part) => part / 255).map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
                return .2126 * r + .7152 * g + .0722 * b;
            };
            const found = [];
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const element = texts.currentNode.parentElement, text = texts.currentNode.textContent.trim();
                const box = element.getBoundingClientRect();
                if (!text || !element.checkVisibility() || box.width < 4 || element.closest(':disabled, noscript')) continue;
                const back = behind(element);
                const [a, b] = [light(over(parts(getComputedStyle(element).color), back)), light(back)];
                const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
                if (contrast < 4.5) found.push(`${text.slice(0, 40)}: ${contrast.toFixed(1)} (${element.className || element.tagName})`);
            }
            return [...new Set(found)];
        })()""")

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", {"format": "png"})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except Exception:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
