"""A server under test and a small client: nothing beyond Python's own library."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

BISE = os.environ.get("BISE", "build/bise")
n_bad = 0


def ok(name):
    print("ok " + name, flush=True)


def not_ok(name, why=""):
    global n_bad
    n_bad += 1
    print("not ok %s%s" % (name, ": " + str(why)[:2000] if why else ""), flush=True)


def check(name, good, why=""):
    ok(name) if good else not_ok(name, why)


def same(name, expected, found):
    check(name, expected == found, "expected %r, found %r" % (expected, found))


def skipped(name, why):
    print("skipped %s: %s" % (name, why), flush=True)


def finish():
    sys.exit(1 if n_bad else 0)


class Server:
    """bise serve with options, at a port of its own; a context."""

    def __init__(self, *options, env=None, host="127.0.0.1"):
        self.log = open(os.path.join(os.environ.get("T", "/tmp"), "serve-%d.log" % os.getpid()), "a+b")
        self.log.seek(0, 2)
        start = self.log.tell()
        self.process = subprocess.Popen(
            [BISE, "serve", "--port", "0", "--host", host, *options],
            stderr=self.log, env=dict(os.environ, **(env or {})))
        self.port = None
        for _ in range(1200):
            text = open(self.log.name, "rb").read()[start:].decode("utf-8", "replace")
            found = re.search(r"^address  http://\S*:(\d+)/$", text, re.M)
            if found:
                self.port = int(found.group(1))
                break
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.start = start
        if self.port is None:
            raise RuntimeError("the server did not start: " + self.said())

    def said(self):
        return open(self.log.name, "rb").read()[self.start:].decode("utf-8", "replace")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def request(self, method, path, body=None, headers=None):
        """(status, headers, bytes)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
        all_headers = {"Content-Type": "application/json"} if body is not None else {}
        all_headers.update(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        c.request(method, path, body, all_headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, dict((k.lower(), v) for k, v in r.getheaders()), data

    def post(self, path, body, headers=None):
        status, _, data = self.request("POST", path, body, headers)
        return status, json.loads(data)

    def chat(self, **body):
        return self.post("/v1/chat/completions", body)

    def raw(self, data, wait=5):
        """What comes back for these bytes until the server closes or wait seconds pass."""
        s = self.socket()
        s.sendall(data)
        return read_all(s, wait)

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def host(self):
        return "Host: 127.0.0.1:%d\r\n" % self.port

    def resident(self):
        for line in open("/proc/%d/status" % self.process.pid):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def metric(self, name):
        text = self.request("GET", "/metrics")[2].decode()
        return float(re.search(r"^%s (\S+)$" % re.escape(name), text, re.M).group(1))


def read_all(s, wait=5):
    s.settimeout(wait)
    data = b""
    try:
        while True:
            some = s.recv(65536)
            if not some:
                break
            data += some
    except (socket.timeout, ConnectionError):
        pass
    s.close()
    return data


def events(data):
    """The objects of a stream's bytes, and whether it ended with [DONE]."""
    found, done = [], False
    for line in data.decode().split("\n\n"):
        if line.startswith("data: "):
            if line == "data: [DONE]":
                done = True
            else:
                found.append(json.loads(line[6:]))
    return found, done


def merged(chunks):
    """A stream's chunks as the answer in one piece would show them, without what may differ."""
    choices, usage, seed = {}, None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        seed = chunk.get("seed", seed)
        for c in chunk["choices"]:
            m = choices.setdefault(c["index"], {"text": "", "calls": {}, "logprobs": [], "finish": None})
            delta = c.get("delta", {})
            m["text"] += delta.get("content") or c.get("text") or ""
            for call in delta.get("tool_calls", []):
                t = m["calls"].setdefault(call["index"], {"id": None, "name": None, "arguments": ""})
                t["id"] = call.get("id", t["id"])
                t["name"] = call["function"].get("name", t["name"])
                t["arguments"] += call["function"].get("arguments", "")
            if c.get("logprobs"):
                m["logprobs"] += c["logprobs"].get("content") or c["logprobs"].get("tokens") or []
            m["finish"] = c["finish_reason"] or m["finish"]
    if usage:
        usage = {k: v for k, v in usage.items() if k != "prompt_tokens_details"}
    return {"choices": sorted(choices.items()), "usage": usage, "seed": seed}


def without_differences(data):
    """The bytes of an answer without what may differ."""
    data = re.sub(rb'"id":"(chatcmpl|cmpl)-[a-z0-9]+"', b'"id":""', data)
    data = re.sub(rb'"created":\d+', b'"created":0', data)
    data = re.sub(rb'"cached_tokens":\d+', b'"cached_tokens":0', data)
    return re.sub(rb',"timings":\{[^}]*\}', b"", data)
