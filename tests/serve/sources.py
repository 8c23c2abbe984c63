"""Grammars and schemas that are made to be slow: how long each takes to be refused or to write its first token, and how
long another's answer waits between its tokens meanwhile. Prints a line for each.
usage: sources.py [MODEL [SECONDS]] ; SECONDS: more than that is a fault (0: none is); MODEL: - is the demo model"""
import http.client
import json
import sys
import threading
import time

from client import Server, check, finish, events

LIMIT = 52000


def fill(item, joint=",", most=LIMIT):
    """As many items, by their number, as a source may have bytes."""
    parts, n, i = [], 0, 0
    while True:
        text = item(i)
        if n + len(text) + len(joint) > most:
            return joint.join(parts)
        parts.append(text)
        n += len(text) + len(joint)
        i += 1


def schema(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": json.loads(text)}}}


def grammar(text):
    return {"grammar": text}


def nested(depth, inner):
    for _ in range(depth):
        inner = {"type": "object", "properties": {"a": inner, "b": {"$ref": "#"}}}
    return inner


SOURCES = {
    "an automaton of 2^20 states": schema({"type": "string", "pattern": "(a|b)*a(a|b){20}c"}),
    "one of 2^14, not": schema({"type": "string", "not": {"pattern": "(a|b)*a(a|b){14}c"}}),
    "all of many patterns": schema('{"type":"string","allOf":[%s]}' % fill(lambda i: '{"pattern":"^(a|b)*a(a|b){%d}c"}' % (i % 12))),
    "one of many patterns": schema('{"oneOf":[%s]}' % fill(lambda i: '{"type":"string","pattern":"^[a-z]{%d,%d}x"}' % (i, i + 9))),
    "one of many objects": schema('{"oneOf":[%s]}' % fill(lambda i: '{"required":["k%d"],"properties":{"k%d":{"type":"integer"}}}' % (i, i))),
    "any of many objects": schema('{"anyOf":[%s]}' % fill(lambda i: '{"type":"object","properties":{"k%d":{"type":"integer"}}}' % i)),
    "an enum of texts": schema('{"enum":[%s]}' % fill(lambda i: '"t%d"' % i)),
    "an enum of objects": schema('{"enum":[%s]}' % fill(lambda i: '{"a":%d}' % i)),
    "many properties": schema('{"type":"object","properties":{%s},"additionalProperties":false}' % fill(lambda i: '"p%d":{}' % i)),
    "many required": schema('{"type":"object","required":[%s]}' % fill(lambda i: '"p%d"' % i)),
    "pattern properties": schema('{"type":"object","patternProperties":{%s}}' % fill(lambda i: '"a.{0,%d}b":{"type":"integer"}' % i)),
    "lengths": schema({"type": "string", "pattern": "^(ab|cde)*$", "minLength": 99999, "maxLength": 1000000}),
    "items": schema({"type": "array", "items": {"type": "array", "maxItems": 1000000}, "minItems": 999999}),
    "numbers": schema('{"allOf":[%s]}' % fill(lambda i: '{"type":"integer","multipleOf":%d}' % (i + 2), most=3000)),
    "bounds": schema('{"anyOf":[%s]}' % fill(lambda i: '{"type":"number","minimum":%d.%d}' % (i, i))),
    "nested": schema(nested(25, {"enum": list(range(500))})),
    "ands of ors": schema({"allOf": [{"anyOf": [{"required": ["a%d_%d" % (i, k)]} for k in range(20)]} for i in range(20)]}),
    "contains": schema({"type": "array", "contains": {"type": "string", "pattern": "a.{9}b"}, "minContains": 50, "maxContains": 99}),
    "unevaluated": schema('{"unevaluatedProperties":false,"anyOf":[%s]}' % fill(lambda i: '{"properties":{"u%d":{"type":"string"}}}' % i, most=9000)),
    "formats": schema('{"allOf":[%s]}' % ",".join('{"format":"%s"}' % f for f in ("uri", "email", "hostname", "ipv6", "date-time") * 3)),
    "a long reference": schema('{"$defs":{%s},"$ref":"#/$defs/d0"}' % fill(lambda i: '"d%d":{"anyOf":[{"$ref":"#/$defs/d%d"},{"const":%d}]}' % (i, (i + 1) % 600, i), most=40000)),
    "many ways at once": grammar("root ::= (%s)*" % fill(lambda i: '"a"* "%d"' % i, " | ")),
    "many ways, any bytes": grammar("root ::= (%s)*" % fill(lambda i: '[a-z0-9]* "%d"' % i, " | ")),
    "long alternatives": grammar("root ::= %s" % fill(lambda i: '.* "%d"' % i, " | ")),
    "optional rows": grammar("root ::= %s\nx ::= [a-z]?" % fill(lambda i: "x", " ")),
    "nested stars": grammar("root ::= " + "(" * 90 + "[a-z]" + "*)" * 90 + "*"),
    "ambiguous": grammar("root ::= s\ns ::= [a-z] s s | [a-z] s | [a-z]"),
    "deep": grammar("root ::= s\ns ::= [a-z] s [a-z] | [a-z]"),
    "rules": grammar("root ::= r0\n" + fill(lambda i: 'r%d ::= [a-z] (r%d | "%d")' % (i, (i + 1) % 1500, i), "\n", 60000)),
    "repeats": grammar("root ::= (([a-z]{1,1000000} | [b-z]{1,999999}){1,1000000} ){1,1000000}"),
    "a class": grammar("root ::= [%s]*" % fill(lambda i: "\\U%08x" % (0x10000 + 3 * i), "")),
    "classes": grammar("root ::= (%s)+" % fill(lambda i: "[^%s]{0,%d}" % (chr(97 + i % 26), i), " ")),
    "prefixes": grammar("root ::= (%s)+" % fill(lambda i: '"%s"' % ("a" * (i % 300)), " | ")),
}


class Stream(threading.Thread):
    """An answer that is written all the while: when its tokens came."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.times, self.ends = server, [], False

    def run(self):
        while not self.ends:
            s = self.server.socket()
            body = json.dumps({"prompt": "once", "max_tokens": 3000, "stream": True, "temperature": 1, "logit_bias": {"2": -100}})
            s.sendall(("POST /v1/completions HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                self.server.host(), len(body), body)).encode())
            while not self.ends:
                data = s.recv(65536)
                if b'"text":"' in data:
                    self.times.append(time.monotonic())
                if not data or b"[DONE]" in data:
                    break
            s.close()

    def longest(self, start, end):
        """Seconds between two tokens, within these."""
        inside = [t for t in self.times[-20000:] if start - 1 < t < end + 1]
        return max([b - a for a, b in zip(inside, inside[1:]) if b > start] or [0])


def main():
    options = ["-m", sys.argv[1]] if len(sys.argv) > 1 and sys.argv[1] != "-" else []
    most = float(sys.argv[2]) if len(sys.argv) > 2 else 0
    with Server("-q", "-b", "3", *options) as s:
        stream = Stream(s)
        stream.start()
        time.sleep(0.5)
        start = time.monotonic()
        time.sleep(1)
        print("# %-30s longest wait of another %.3f s" % ("nothing", stream.longest(start, time.monotonic())), flush=True)
        for name, fields in SOURCES.items():
            body = {"prompt": "x", "max_tokens": 24, "temperature": 1, "seed": 1, "logit_bias": {"2": -100}, "stream": True, **fields}
            start = time.monotonic()
            try:
                status, _, data = s.request("POST", "/v1/completions", body)
            except http.client.IncompleteRead as e: # an error in the stream: the connection closes
                status, data = 200, e.partial
            end = time.monotonic()
            time.sleep(0.1)
            found = [json.loads(data)] if status != 200 else events(data)[0]
            message = "".join(f["error"]["message"] for f in found if "error" in f)
            wait = stream.longest(start, end)
            print("# %-30s %d, %.3f s, longest wait of another %.3f s %s" % (name, status, end - start, wait, message[:90]), flush=True)
            check(name, status in (200, 400) and (not most or end - start <= most and wait <= most), (status, end - start, wait))
        stream.ends = True
        stream.join()
    finish()


main()
