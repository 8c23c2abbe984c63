"""Load: the demo model at several concurrencies. Prints a line for each: requests and tokens a second, the time
to the first token and between tokens (p50, p95, p99), resident memory and descriptors.
usage: load.py [REQUESTS [CONCURRENCY...]] ; environment: SERVE_OPTIONS for the server"""
import http.client
import json
import os
import sys
import threading
import time

from client import Server, check, finish


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(p / 100 * len(values)))] if values else float("nan")


def ask(port, i, found):
    body = json.dumps({"messages": [{"role": "user", "content": "Tell me story number %d of the sea" % i}], "seed": i,
                       "max_tokens": 16, "stream": True, "logit_bias": {"2": -100}})
    start = time.monotonic()
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        r.read()
        found["refused"] += 1
        c.close()
        return
    last, n = None, 0
    for line in r:
        if line.startswith(b"data: {") and b'"content":"' in line and b'"content":""' not in line:
            now = time.monotonic()
            if last is None:
                found["first"].append(now - start)
            else:
                found["between"].append(now - last)
            last = now
            n += 1
    c.close()
    found["answered"] += 1
    found["tokens"] += 16


def run(s, n, concurrency, first_number):
    found = {"first": [], "between": [], "answered": 0, "refused": 0, "tokens": 0}
    left, lock = list(range(first_number, first_number + n)), threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                i = left.pop()
            ask(s.port, i, found)

    start = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return found, time.monotonic() - start


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    levels = [int(a) for a in sys.argv[2:]] or [1, 4, 16, 64]
    done, early = 0, None
    with Server("-q", *os.environ.get("SERVE_OPTIONS", "").split()) as s:
        for level in levels:
            found, seconds = run(s, n // len(levels), level, done)
            done += n // len(levels)
            if early is None and done >= 100:
                early = s.resident(), s.descriptors()
            print("concurrency %d: %d answered, %d refused, %.1f requests/s, %.0f tokens/s, first token ms %s, between ms %s, %.1f MB, %d descriptors" % (
                level, found["answered"], found["refused"], found["answered"] / seconds, found["tokens"] / seconds,
                " ".join("%.1f" % (1e3 * percentile(found["first"], p)) for p in (50, 95, 99)),
                " ".join("%.1f" % (1e3 * percentile(found["between"], p)) for p in (50, 95, 99)),
                s.resident() / 1e6, s.descriptors()), flush=True)
            check("all_are_answered_%d" % level, found["answered"] + found["refused"] == n // len(levels))
        time.sleep(0.5)
        check("memory_is_flat", early is None or s.resident() - early[0] < 1 << 20, (early, s.resident()))
        check("descriptors_are_flat", early is None or s.descriptors() <= early[1] + 1, (early, s.descriptors()))
    finish()


main()
