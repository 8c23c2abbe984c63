"""What a server on a network meets: each attack is followed by a question that must be answered as before.
usage: attacks.py [IDLE_CONNECTIONS]"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from client import BISE, Server, check, events, finish, not_ok, read_all, same

QUESTION = {"messages": [{"role": "user", "content": "Tell me about the sea"}], "max_tokens": 8, "temperature": 0}


def status_of(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


def post(s, body, path="/v1/chat/completions", extra=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "POST %s HTTP/1.1\r\n%sContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n" % (
        path, s.host(), extra, len(body))
    return head.encode() + body


def heads(s):
    h = s.host()
    cases = {
        "bare_lf": "GET /health HTTP/1.1\n%s\n" % h,
        "obs_fold": "GET /health HTTP/1.1\r\n%sX: a\r\n b\r\n\r\n" % h,
        "no_host": "GET /health HTTP/1.1\r\n\r\n",
        "two_hosts": "GET /health HTTP/1.1\r\n%s%s\r\n" % (h, h),
        "http2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "negative_length": "POST /tokenize HTTP/1.1\r\n%sContent-Length: -1\r\n\r\n" % h,
        "two_lengths": "POST /tokenize HTTP/1.1\r\n%sContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}" % h,
        "smuggled": "POST /tokenize HTTP/1.1\r\n%sContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % h,
        "smuggled_te": "POST /tokenize HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" % h,
        "long_header": "GET /health HTTP/1.1\r\n%sX: %s\r\n\r\n" % (h, "a" * 20000),
        "many_headers": "GET /health HTTP/1.1\r\n%s%s\r\n" % (h, "X: a\r\n" * 200),
        "nul": "GET /health\0 HTTP/1.1\r\n%s\r\n" % h,
        "garbage": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
    }
    for name, text in cases.items():
        same(name, 400, status_of(s.raw(text.encode("latin-1"))))
    same("huge_length", 413, status_of(s.raw(
        ("POST /tokenize HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n" % h).encode())))
    same("huge_chunk", 413, status_of(s.raw(
        ("POST /tokenize HTTP/1.1\r\n%sContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n" % h).encode())))
    data = s.raw(("POST /tokenize HTTP/1.1\r\n%sContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
                  "Connection: close\r\n\r\n7\r\n{\"conte\r\n8\r\nnt\":\"a\"}\r\n0\r\n\r\n" % h).encode())
    check("chunks", status_of(data) == 200 and b'"tokens"' in data, data)
    data = s.raw(("POST /tokenize HTTP/1.1\r\n%sContent-Type: application/json\r\nExpect: 100-continue\r\n"
                  "Content-Length: 15\r\nConnection: close\r\n\r\n{\"content\":\"a\"}" % h).encode())
    check("continue", data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), data)
    two = ("GET /health HTTP/1.1\r\n%s\r\n" % h) * 20 + "GET /v1/models HTTP/1.1\r\n%sConnection: close\r\n\r\n" % h
    check("pipelining", s.raw(two.encode()).count(b"HTTP/1.1 200 OK") == 21)


def who(s):
    def get(path="/health", method="GET", **headers):
        status, found, _ = s.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        return status, found

    same("wrong_host", 403, get(Host="evil.example:%d" % s.port)[0])
    same("any_address_host", 403, get(Host="0.0.0.0:%d" % s.port)[0])
    same("localhost", 200, get(Host="localhost:%d" % s.port)[0])
    same("wrong_origin", 403, get(Origin="http://evil.example")[0])
    same("null_origin", 403, get(Origin="null")[0])
    status, headers = get(Origin="http://127.0.0.1:%d" % s.port)
    check("own_origin", status == 200 and "access-control-allow-origin" not in headers)
    same("preflight", 403, get("/v1/chat/completions", "OPTIONS", Origin="http://evil.example")[0])
    same("wrong_type", 415, s.request("POST", "/v1/chat/completions", "{}", {"Content-Type": "text/plain"})[0])
    status, headers, _ = s.request("DELETE", "/health")
    check("wrong_method", status == 405 and headers["allow"] == "GET, HEAD")
    same("no_path", 404, get("/../../etc/passwd")[0])
    for path in ("/", "/page.js", "/health", "/v1/models", "/props", "/nothing", "/v1/chat/completions"):
        whole, short = s.request("GET", path), s.request("HEAD", path)
        check("head_of_" + path, short[:2] == whole[:2] and whole[2] and not short[2], (short, whole[:2]))
    two = "".join("%s /health HTTP/1.1\r\n%s\r\n" % (m, s.host()) for m in ("HEAD", "GET", "HEAD"))
    data = s.raw((two + "HEAD /nothing HTTP/1.1\r\n%s\r\n" % s.host()).encode())
    check("heads_among_others", data.count(b"HTTP/1.1 200 OK\r\n") == 3 and data.count(b'"status"') == 1
          and data.endswith(b"\r\n\r\n") and b'"error"' not in data, data)
    status, headers = get("/")
    check("headers", status == 200 and "default-src 'self'" in headers["content-security-policy"]
          and headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer")


def bodies(s):
    def fault(name, body, status=400, text=""):
        found, _, data = s.request("POST", "/v1/chat/completions", body)
        error = json.loads(data).get("error", {})
        check(name, found == status and error.get("message") and text in error["message"], (found, data))

    message = '{"messages":[{"role":"user","content":%s}]}'
    fault("empty", "")
    fault("no_json", "hello")
    fault("no_object", "[]", text="expected an object")
    fault("deep_json", "[" * 100000, text="nested")
    fault("deep_value", message % ("[" * 60 + "]" * 60))
    fault("many_values", '{"messages":[' + "1," * 150000 + "1]}", text="values")
    fault("invalid_utf8", b'{"messages":[{"role":"user","content":"\xff"}]}', text="UTF-8")
    fault("half_surrogate", message % '"\\ud800"')
    fault("raw_nul", b'{"messages":[{"role":"user","content":"\x00"}]}')
    fault("no_messages", "{}", text="messages")
    fault("wrong_role", '{"messages":[{"role":"king","content":"a"}]}', text="role")
    fault("wrong_content", message % "5", text="content" if False else "string")
    fault("wrong_temperature", {**QUESTION, "temperature": "hot"}, text="temperature")
    fault("huge_temperature", {**QUESTION, "temperature": 1e9}, text="temperature")
    fault("nan_top_p", '{"messages":[],"top_p":NaN}')
    fault("refused_field", {**QUESTION, "mirostat": 2}, text="mirostat")
    fault("image", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, text="text")
    fault("bad_schema", {**QUESTION, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "spoon"}}}})
    fault("bad_grammar", {**QUESTION, "grammar": "root ::= root"})
    fault("tools_without_format", {**QUESTION, "tools": [{"type": "function", "function": {"name": "f"}}]}, text="tools")
    fault("too_long", {"messages": [{"role": "user", "content": "the old king " * 20000}]}, text="context")
    fault("a_turn_that_never_fits", {"messages": [{"role": "user", "content": "a" * 3000000}], "overflow": "drop"}, text="context")
    turn = [{"role": "user", "content": "the old king " * 5000}, {"role": "assistant", "content": "No."}]
    fault("too_much_to_tokenize", {"messages": turn * 40 + turn[:1], "overflow": "drop"}, 413, "2 MB")
    same("too_much_of_one_text", 413, s.post("/tokenize", {"content": "a b" * 1000000})[0])
    status, _, data = s.request("POST", "/v1/chat/completions", message % '"a\\u0000b"')
    same("nul_in_text", 200, status)
    status, answer = s.chat(**{**QUESTION, "user": "me", "store": False, "some_new_field": {"a": 1}})
    same("unknown_is_left_out", 200, status)
    check("unknown_is_named_once", s.said().count("some_new_field") == 1)


def hang_ups(s):
    request = post(s, {**QUESTION, "stream": True, "max_tokens": 3})
    for n in range(0, len(request), 1 if len(sys.argv) > 1 else 7):
        c = s.socket()
        c.sendall(request[:n])
        c.close()
    # (Of an answer that says "Connection: close", whose numbers may be longer.)
    whole = len(s.raw(request[:-1].replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n") + request[-1:]))
    for n in range(0, whole - 100, 1 if len(sys.argv) > 1 else 97):
        c = s.socket()
        c.sendall(request)
        left = n
        c.settimeout(5)
        while left > 0:
            some = c.recv(left)
            if not some:
                break
            left -= len(some)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.close()
    check("hang_ups", True)
    c = s.socket()
    c.sendall(post(s, {**QUESTION, "stream": True, "max_tokens": 100000, "temperature": 2, "top_k": 0, "top_p": 1,
                       "min_p": 0, "logit_bias": {"2": -100}}))
    c.recv(1000)
    c.close()
    for _ in range(100):
        if s.metric("bise_busy_sequences") == 0:
            break
        time.sleep(0.05)
    same("leaving_ends_the_answer", 0, s.metric("bise_busy_sequences"))


def idle(s, n):
    many = []
    for _ in range(n):
        try:
            many.append(s.socket())
        except OSError:
            break
    status, answer = s.chat(**QUESTION)
    same("%d_idle_connections" % n, 200, status)
    check("connections_are_bounded", s.metric("bise_connections") <= 256)
    for c in many:
        c.close()


def crowd(s):
    """More than wait: some are refused at once, all others are answered."""
    found, lock = [], threading.Lock()

    def ask(i):
        status, _, data = s.request("POST", "/v1/chat/completions", {**QUESTION, "max_tokens": 20, "n": 2})
        with lock:
            found.append(status)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("crowd", len(found) == 64 and set(found) <= {200, 429} and found.count(200) >= 4, found)


def keys():
    with Server("-q", "-t", "1", env={"BISE_API_KEY": "secret-key"}) as s:
        same("no_key", 401, s.request("GET", "/props")[0])
        same("health_needs_none", 200, s.request("GET", "/health")[0])
        same("page_needs_none", 200, s.request("GET", "/page.js")[0])
        same("wrong_key", 401, s.request("GET", "/props", headers={"Authorization": "Bearer secret-kez"})[0])
        same("key", 200, s.request("GET", "/props", headers={"Authorization": "Bearer secret-key"})[0])
        data = s.raw(("POST /tokenize HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n"
                      % s.host()).encode())
        same("key_before_body", 401, status_of(data))
        check("key_is_not_logged", "secret" not in s.said())


def many_keys():
    """What one key has asked is no cache of another's."""
    path = os.path.join(os.environ.get("T", "/tmp"), "keys-%d" % os.getpid())
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write("# two of them\none-key\nother-key\n")
    with Server("-q", "-t", "1", "--api-key-file", path) as s:
        def cached(key):
            status, _, data = s.request("POST", "/v1/chat/completions", QUESTION, {"Authorization": "Bearer " + key})
            answer = json.loads(data)
            return answer["usage"]["prompt_tokens_details"]["cached_tokens"], answer["choices"]

        first, again, other = cached("one-key"), cached("one-key"), cached("other-key")
        check("keys_share_no_cache", first[0] == 0 and again[0] > 0 and other[0] == 0, (first, again, other))
        same("keys_share_the_answer", first[1], other[1])
    os.chmod(path, 0o644)
    try:
        Server("-q", "--api-key-file", path)
        not_ok("open_key_file")
    except RuntimeError as e:
        check("open_key_file", "chmod 600" in str(e), e)
    os.unlink(path)


def log():
    """Nobody reads the log: all are answered all the same, and how much was lost is said."""
    p = subprocess.Popen([BISE, "serve", "--port", "0", "-t", "1"], stderr=subprocess.PIPE)
    port = next(int(found.group(1)) for found in (re.search(rb"^address .*:(\d+)/$", line.strip()) for line in p.stderr) if found)
    c = socket.create_connection(("127.0.0.1", port))
    c.settimeout(20)
    f = c.makefile("rb")

    def answered():
        c.sendall(b"HEAD /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
        return list(iter(f.readline, b"\r\n"))[:1] == [b"HTTP/1.1 200 OK\r\n"]

    n = 3000
    check("answers_without_a_reader_of_the_log", all(answered() for _ in range(n)))
    text = b""
    while len(text) < 30000:
        text += os.read(p.stderr.fileno(), 65536)
    check("answers_again", answered())
    p.send_signal(signal.SIGTERM)
    same("ends_without_a_reader_of_the_log", 0, p.wait(60))
    text += p.stderr.read()
    lost = re.search(rb"^(\d+) lines of the log were not taken", text, re.M)
    check("lost_lines_are_counted", lost and int(lost.group(1)) + text.count(b"HEAD /health 200") == n + 1, text[-300:])


def ends():
    s = Server("-t", "1", "--grace", "20")
    c = s.socket()
    c.sendall(post(s, {**QUESTION, "stream": True, "max_tokens": 300, "logit_bias": {"2": -100}}))
    first = c.recv(100)
    s.process.send_signal(signal.SIGTERM)
    rest = first + read_all(c, 20)
    check("sigterm_lets_answers_end", b"data: [DONE]" in rest, rest[-200:])
    same("exit_status", 0, s.stop())
    s = Server("-t", "1", "--grace", "0")
    c = s.socket()
    c.sendall(post(s, {**QUESTION, "stream": True, "max_tokens": 100000, "logit_bias": {"2": -100}}))
    c.recv(100)
    s.process.send_signal(signal.SIGTERM)
    rest = read_all(c, 20)
    check("grace_cuts", b"[DONE]" not in rest)
    same("exit_status_after_cut", 0, s.stop())


def main():
    with Server("-b", "4", "-t", "2", "--queue", "16") as s:
        first = s.chat(**QUESTION)[1]["choices"]
        for attack in (heads, who, bodies, hang_ups, crowd):
            attack(s)
            same("answers_after_" + attack.__name__, first, s.chat(**{**QUESTION, "cache_prompt": False})[1]["choices"])
        idle(s, int(sys.argv[1]) if len(sys.argv) > 1 else 300)
        time.sleep(0.3)
        s.chat(**QUESTION)
        before = s.resident(), s.descriptors()
        hang_ups(s)
        time.sleep(0.3)
        s.chat(**QUESTION)
        if not os.environ.get("SANITIZER"):  # which keep what is freed
            check("memory_is_flat", s.resident() - before[0] < 1 << 20, (before[0], s.resident()))
        check("descriptors_are_flat", s.descriptors() <= before[1] + 1, (before[1], s.descriptors()))
        same("exit", 0, s.stop())
    keys()
    many_keys()
    log()
    ends()
    finish()


main()
