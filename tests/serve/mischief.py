"""Clients that mean no good, many at once, at random: halves of requests, resets, readers that do not read, floods, headers
and bodies of every size, pipelines, bytes turned over, streams that are left. All the while /health answers and memory
stays within its bounds; afterwards nothing is left, and a question is answered by the bytes of before.
usage: mischief.py [SECONDS [SEED [OPTION OF THE SERVER...]]]"""
import json
import random
import socket
import struct
import sys
import threading
import time

from client import Server, check, finish, same

QUESTION = {"messages": [{"role": "user", "content": "Tell me about the sea"}], "max_tokens": 8, "temperature": 0, "cache_prompt": False}
WORDS = "the old king had three sons who lived by the sea \u6c34 na\u00efve \U0001f600 \\\" { } [INST] </s> \n".split(" ")
PATHS = ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize", "/v1/moderations", "/health", "/props", "/metrics",
         "/v1/models", "/", "/page.js", "/nothing", "/../../etc/passwd", "/health?x=" + "y" * 300]
N_CLIENTS = 24
# Requests under way, bodies that come in, answers that wait to be read; and what the allocator has not given back yet.
ROOM = (64 + 32 + 32 + 64) << 20


def text(r, n):
    return " ".join(r.choice(WORDS) for _ in range(n))


def some_body(r):
    body = {"messages": [{"role": r.choice(["user", "user", "system", "assistant"]), "content": text(r, r.randint(0, 60))}
                         for _ in range(r.randint(1, 5))],
            "max_tokens": r.choice([0, 1, 5, 30, 300]), "seed": r.randint(0, 99), "stream": r.random() < 0.6}
    if r.random() < 0.2:
        body = {"prompt": text(r, r.randint(1, 50)), "echo": r.random() < 0.5, "logprobs": r.randint(0, 5), "max_tokens": 20}
    if r.random() < 0.2:
        body["n"] = r.randint(1, 6)
    if r.random() < 0.2:
        body.update(logprobs=True, top_logprobs=20)
    if r.random() < 0.1:
        body["response_format"] = {"type": "json_object"}
    if r.random() < 0.1:
        body["grammar"] = r.choice(["root ::= [a-z ]+", "root ::= root", "root ::= (\"a\" | root \"b\")*", "x"])
    if r.random() < 0.1:
        body["junk"] = r.choice(["x" * r.choice([1000, 100000, 3000000]), [1] * r.choice([1000, 90000])])
    if r.random() < 0.1:
        body[r.choice(["temperature", "top_p", "stop", "tools", "overflow", "input", "content", "tokens"])] = r.choice(
            [None, -1, 1e308, "x", [], {}, [1, 2, 3], "\u0000", True])
    if r.random() < 0.15:
        body = {"input": text(r, r.choice([1, 30, 300])), "content": text(r, 100), "tokens": [r.randint(-1, 5000) for _ in range(50)]}
    return json.dumps(body, ensure_ascii=r.random() < 0.5).encode()


def some_request(r, s):
    path = r.choice(PATHS[:5] if r.random() < 0.7 else PATHS)
    method = r.choice(["POST"] * 8 + ["GET", "HEAD", "OPTIONS", "PUT", "X" * r.randint(1, 20)])
    head = "%s %s HTTP/1.%d\r\n%s" % (method, path, r.random() < 0.9, s.host())
    if r.random() < 0.1:
        head += "X-Junk: %s\r\n" % ("z" * r.choice([10, 1000, 15000, 60000]))
    if r.random() < 0.1:
        head += "Connection: %s\r\n" % r.choice(["close", "keep-alive", "x, close"])
    if r.random() < 0.05:
        head += "Expect: 100-continue\r\n"
    if method in ("GET", "HEAD", "OPTIONS"):
        return (head + "\r\n").encode()
    body = some_body(r)
    head += "Content-Type: application/json\r\n"
    if r.random() < 0.8:
        return (head + "Content-Length: %d\r\n\r\n" % len(body)).encode() + body
    chunks, at = [], 0
    while at < len(body):
        n = min(r.choice([1, 7, 100, 65536]) if len(body) < 5000 else 65536, len(body) - at)
        chunks.append(b"%x\r\n%s\r\n" % (n, body[at:at + n]))
        at += n
    return (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + b"".join(chunks) + b"0\r\n\r\n"


def spoil(r, data):
    """Some bytes turned over, left out or doubled."""
    data = bytearray(data)
    for _ in range(r.randint(1, 4)):
        at = r.randrange(len(data))
        data[at:at + 1] = r.choice([bytes([r.randrange(256)]), b"", data[at:at + 1] * 2, b"\r\n", b"\xff\xfe"])
    return bytes(data)


def mischief(r, s):
    """One client, from its first byte to its last."""
    c = s.socket()
    c.settimeout(r.choice([0.05, 0.5, 3]))
    if r.random() < 0.2:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    data = b"".join(some_request(r, s) for _ in range(r.choice([1] * 8 + [3, 30])))
    if r.random() < 0.25:
        data = spoil(r, data)
    if r.random() < 0.25:
        data = data[:r.randrange(len(data) + 1)]
    try:
        if r.random() < 0.15:  # in drops
            for at in range(0, min(len(data), 300)):
                c.send(data[at:at + 1])
                time.sleep(0.0005)
        else:
            c.sendall(data)
        if r.random() < 0.1:
            c.shutdown(socket.SHUT_WR)
        how = r.random()
        if how < 0.3:  # a little of the answer
            c.recv(r.choice([1, 100, 5000]))
        elif how < 0.45:  # a slow reader
            for _ in range(r.randint(1, 60)):
                c.recv(r.choice([1, 50, 4000]))
                time.sleep(0.01)
        elif how < 0.7:  # all of it
            end = time.monotonic() + 5
            while time.monotonic() < end and c.recv(65536):
                pass
        elif how < 0.75:  # nothing for a while
            time.sleep(r.random() * 2)
    except (OSError, socket.timeout):
        pass
    if r.random() < 0.5:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def flood(r, s):
    many = []
    try:
        for _ in range(r.choice([10, 100, 400])):
            many.append(s.socket())
    except OSError:
        pass
    for c in many:
        c.close()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    counts, ended = [0] * N_CLIENTS, threading.Event()
    with Server("-q", "-b", "3", "-t", "2", "--queue", "12", *sys.argv[3:]) as s:
        first = s.chat(**QUESTION)[1]["choices"]
        before, most, slowest, n_health = s.resident(), 0, 0, 0

        def client(i):
            r = random.Random(seed * 1000 + i)
            while not ended.is_set():
                try:
                    (flood if r.random() < 0.02 else mischief)(r, s)
                except OSError:
                    time.sleep(0.1)
                counts[i] += 1

        threads = [threading.Thread(target=client, args=(i,)) for i in range(N_CLIENTS)]
        for t in threads:
            t.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and s.process.poll() is None:
            start = time.monotonic()
            try:
                n_health += s.request("GET", "/health")[0] == 200
            except OSError:  # turned away at the limit of connections
                pass
            slowest = max(slowest, time.monotonic() - start)
            most = max(most, s.resident())
            time.sleep(0.2)
        ended.set()
        for t in threads:
            t.join()
        print("# seed %d: %d clients, %d answers of /health, the slowest %.2f s; resident %.1f MB before, %.1f at most" % (
            seed, sum(counts), n_health, slowest, before / 1e6, most / 1e6), flush=True)
        check("the_server_lives", s.process.poll() is None and n_health > 0, s.said()[-500:])
        check("memory_keeps_its_bounds", most - before < ROOM, (before, most))
        for _ in range(600):
            if s.metric("bise_busy_sequences") + s.metric("bise_queued") == 0 and s.metric("bise_connections") == 1:
                break
            time.sleep(0.1)
        same("nothing_is_left", [0, 0, 1], [s.metric("bise_" + n) for n in ("busy_sequences", "queued", "connections")])
        status, answer = s.chat(**QUESTION)
        same("answers_as_before", first, answer.get("choices"))
        print("# resident afterwards %.1f MB, %d descriptors" % (s.resident() / 1e6, s.descriptors()))
        check("memory_is_given_back", s.resident() - before < 16 << 20, (before, s.resident()))
        same("it_ends", 0, s.stop())
    finish()


main()
