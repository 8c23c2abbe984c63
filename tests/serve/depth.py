"""Figures of a large shape: the first token of a follow-up, answers side by side, the wait beside another's prompt,
and the server's own share of the CPU. Prints a line for each.
usage: depth.py MODEL [TOKENS] ; environment: SERVE_OPTIONS for the server"""
import json
import os
import subprocess
import sys
import threading
import time

import client
from client import Server

LONG = {"temperature": 0, "logit_bias": {"2": -100}}


def complete(s, ids, **more):
    return s.post("/v1/completions", {"prompt": ids, **LONG, **more})[1]


def stream_times(s, ids, n):
    """When each piece of a stream came."""
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=600)
    c.request("POST", "/v1/completions", json.dumps({"prompt": ids, "max_tokens": n, "stream": True, **LONG}),
              {"Content-Type": "application/json"})
    times = [time.monotonic()]
    for line in c.getresponse():
        if line.startswith(b"data: {"):
            times.append(time.monotonic())
    c.close()
    return times


def cpu(pid):
    f = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def run_cpu(model, ids, n, options):
    """CPU seconds of bise run for n tokens after ids."""
    before = os.times()
    subprocess.run([client.BISE, "run", "-m", model, "--ids", ",".join(map(str, ids)), "-n", str(n), "--temp", "0",
                    "--logit-bias", "2-inf", "-q", *options], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main():
    model, depth = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    options = os.environ.get("SERVE_OPTIONS", "").split()
    ids = [1] + [5 + (i * 7919) % 20000 for i in range(depth - 1)]
    with Server("-q", "-m", model, "-c", str(2 * depth + 1024), "-b", "4", *options) as s:
        # The first token of a follow-up of 100 tokens, beside reading as many at that depth.
        complete(s, ids, max_tokens=1)
        start = time.monotonic()
        complete(s, ids + [7] * 100, max_tokens=1)
        follow_up = time.monotonic() - start
        start = time.monotonic()
        complete(s, ids + [7] * 100 + [9] * 100, max_tokens=1)
        again = time.monotonic() - start
        print("follow-up at %d: first token %.3f s; the next 100 tokens %.3f s" % (depth, follow_up, again), flush=True)
        # One and four that write.
        n = 32
        alone = stream_times(s, ids[:20], n)
        one = (n - 1) / (alone[-2] - alone[1])
        times = [None] * 4

        def write(i):
            times[i] = stream_times(s, [1, 10 + i] + ids[2:20], n)

        threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        four = sum((n - 1) / (t[-2] - t[1]) for t in times)
        print("one writes %.2f tokens/s, four %.2f: %.2f x" % (one, four, four / one), flush=True)
        # The longest wait of one that writes while another's prompt is read.
        waits = []

        def watch():
            t = stream_times(s, [1, 99] + ids[2:20], 60)
            waits.extend(b - a for a, b in zip(t[1:], t[2:]))

        thread = threading.Thread(target=watch)
        thread.start()
        time.sleep(1.5)
        start = time.monotonic()
        complete(s, [1, 3] + ids[2:], max_tokens=1)
        read = time.monotonic() - start
        thread.join()
        print("beside a prompt of %d (%.1f s): longest wait %.3f s, median of all %.3f s" % (
            depth, read, max(waits), sorted(waits)[len(waits) // 2]), flush=True)
        # CPU time of a stream beside the same tokens of bise run, in turns; medians.
        served, run = [], []
        for _ in range(3):
            before = cpu(s.process.pid)
            complete(s, ids[:20], max_tokens=1)
            at_start = cpu(s.process.pid)
            stream_times(s, ids[:20], 65)
            served.append(cpu(s.process.pid) - at_start - (at_start - before))
            run.append(run_cpu(model, ids[:20], 65, options) - run_cpu(model, ids[:20], 1, options))
        served, run = sorted(served)[1], sorted(run)[1]
        print("CPU for 64 tokens: server %.2f s, bise run %.2f s: %.3f x" % (served, run, served / run), flush=True)


main()
