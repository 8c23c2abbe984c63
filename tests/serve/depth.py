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


def timed(s, ids, n):
    """Wall and CPU seconds of n tokens after ids."""
    start, at_start = time.monotonic(), cpu(s.process.pid)
    complete(s, ids, max_tokens=n)
    return time.monotonic() - start, cpu(s.process.pid) - at_start


def together(s, prompts, n):
    """The same of several prompts at once."""
    start, at_start = time.monotonic(), cpu(s.process.pid)
    threads = [threading.Thread(target=complete, args=(s, p), kwargs={"max_tokens": n}) for p in prompts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return time.monotonic() - start, cpu(s.process.pid) - at_start


def waits_beside(s, ids, n, other):
    """Seconds between the tokens of an answer of n, while another's prompt is read; and how long that took."""
    thread = threading.Thread(target=complete, args=(s, ids), kwargs={"max_tokens": n})
    read = []

    def ask():
        start = time.monotonic()
        complete(s, other, max_tokens=1)
        read.append(time.monotonic() - start)

    base = s.metric("bise_written_tokens_total")
    thread.start()
    while s.metric("bise_written_tokens_total") < base + 3:
        time.sleep(0.003)
    asker = threading.Thread(target=ask)
    asker.start()
    last, seen, waits = time.monotonic(), s.metric("bise_written_tokens_total"), []
    while asker.is_alive():
        now = s.metric("bise_written_tokens_total")
        if now != seen:
            waits.append(time.monotonic() - last)
            last, seen = time.monotonic(), now
        time.sleep(0.003)
    asker.join()
    thread.join()
    return waits, read[0]


def cpu(pid):
    f = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def run_cpu(model, ids, n, options):
    """CPU seconds of bise run for n tokens after ids."""
    before = os.times()
    subprocess.run([client.BISE, "run", "-m", model, "--ids", ",".join(map(str, ids)), "-n", str(n), "--temp", "0",
                    "--logit-bias", "2-inf", "-q", "--mem", "mmap", *options], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main():
    model, depth = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    options = os.environ.get("SERVE_OPTIONS", "").split()
    ids = [1] + [5 + (i * 7919) % 20000 for i in range(depth - 1)]
    with Server("-q", "-m", model, "-c", str(2 * depth + 1024), "-b", "4", *options) as s:
        # The first token of a follow-up of 100 tokens, beside reading as many at that depth.
        complete(s, ids, max_tokens=1)
        first = timed(s, ids + [7] * 100, 1)
        again = timed(s, ids + [7] * 200, 1)
        print("follow-up of 100 at %d: first token %.3f s, CPU %.2f s; the next 100 tokens %.3f s, CPU %.2f s" % (
            depth, *first, *again), flush=True)
        # One and four that write: the time of 33 tokens less that of 1.
        n, one, four = 32, [], []
        for i in range(3):
            starts = [[1, 10 + 5 * i + k, 17, 18] for k in range(5)]
            a, b = timed(s, starts[4], 1), timed(s, starts[4], n + 1)
            one.append([y - x for x, y in zip(a, b)])
            a, b = together(s, starts[:4], 1), together(s, starts[:4], n + 1)
            four.append([y - x for x, y in zip(a, b)])
        one, four = ([sorted(v[k] for v in values)[1] for k in (0, 1)] for values in (one, four))
        print("one writes %.2f tokens/s, four %.2f: %.2f x; by CPU time %.2f x" % (
            n / one[0], 4 * n / four[0], 4 * one[0] / four[0], 4 * one[1] / four[1]), flush=True)
        # The longest wait of one that writes while another's prompt is read.
        waits, read = waits_beside(s, [1, 99, 17, 18], 400, [1, 3] + ids[2:])
        print("beside a prompt of %d (%.1f s): %d waits, longest %.3f s, median %.3f s" % (
            depth, read, len(waits), max(waits), sorted(waits)[len(waits) // 2]), flush=True)
        # CPU time of a stream beside the same tokens of bise run, in turns; the least of three.
        served, run = [], []
        for _ in range(3):
            before = cpu(s.process.pid)
            complete(s, ids[:20], max_tokens=1)
            at_start = cpu(s.process.pid)
            complete(s, ids[:20], max_tokens=129)
            served.append(cpu(s.process.pid) - at_start - (at_start - before))
            run.append(run_cpu(model, ids[:20], 129, options) - run_cpu(model, ids[:20], 1, options))
        served, run = min(served), min(run)  # what disturbs them adds
        print("CPU for 128 tokens: server %.2f s, bise run %.2f s: %.3f x" % (served, run, served / run), flush=True)


main()
