"""Calls of tools in the V3 format: every call that is required parses and fits its tool's schema.
usage: tools.py V3_MODEL [CALLS]"""
import json
import random
import re
import sys
import threading

from client import Server, check, events, finish, merged, same

TOOLS = [
    ("get_weather", {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12},
                                                      "unit": {"enum": ["celsius", "fahrenheit"]}},
                     "required": ["city", "unit"], "additionalProperties": False}),
    ("add", {"type": "object", "properties": {"a": {"type": "integer", "minimum": -99, "maximum": 99}, "b": {"$ref": "#/$defs/n"}},
             "required": ["a", "b"], "additionalProperties": False,
             "$defs": {"n": {"type": "integer", "minimum": 0, "maximum": 999}}}),
    ("note", {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string", "maxLength": 6}, "maxItems": 3},
                                               "done": {"type": "boolean"}}, "required": ["tags"], "additionalProperties": False}),
    ("now", None),
]
LIST = [{"type": "function", "function": {"name": n, "description": "the tool " + n, **({"parameters": p} if p else {})}}
        for n, p in TOOLS]


def fits(v, schema, root):
    """Whether a value is one of the schema, as far as the schemas above go."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "enum" in schema:
        return v in schema["enum"]
    kind = schema["type"]
    if kind == "object":
        known = schema.get("properties", {})
        return (isinstance(v, dict) and all(k in v for k in schema.get("required", [])) and
                all(k in known and fits(v[k], known[k], root) for k in v))
    if kind == "array":
        return isinstance(v, list) and len(v) <= schema["maxItems"] and all(fits(x, schema["items"], root) for x in v)
    if kind == "string":
        return isinstance(v, str) and len(v) <= schema["maxLength"]
    if kind == "boolean":
        return isinstance(v, bool)
    return isinstance(v, int) and not isinstance(v, bool) and schema["minimum"] <= v <= schema["maximum"]


def fault_of(message, n_most=16):
    """What is wrong with a message that must be calls; None: nothing."""
    calls = message.get("tool_calls")
    if message.get("content") or not calls or len(calls) > n_most:
        return "no calls: %r" % message
    for c in calls:
        schema = dict(TOOLS).get(c["function"]["name"], "?")
        if schema == "?" or c["type"] != "function" or not re.fullmatch("[0-9A-Za-z]{9}", c["id"]):
            return "no such call: %r" % c
        try:
            arguments = json.loads(c["function"]["arguments"])
        except ValueError:
            return "no JSON: %r" % c
        if not fits(arguments, schema or {"type": "object"}, schema):
            return "does not fit: %r" % c
    return None


def ask(s, text, **more):
    return s.chat(**{"messages": [{"role": "user", "content": text}], "tools": LIST, "temperature": 1, "max_tokens": 2000, **more})


def many(s, n):
    """n required calls at temperature 1, four at a time."""
    bad, left, lock = [], list(range(n)), threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                i = left.pop()
            status, answer = ask(s, "Question %d about the weather" % i, tool_choice="required", seed=i, parallel_tool_calls=i % 2 == 0)
            why = answer if status != 200 else fault_of(answer["choices"][0]["message"], 16 if i % 2 == 0 else 1)
            if not why and answer["choices"][0]["finish_reason"] != "tool_calls":
                why = answer["choices"][0]
            if why:
                with lock:
                    bad.append((i, why))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("%d_required_calls" % n, not bad, "%d bad, first %r" % (len(bad), bad[:1]))


def choices(s):
    for i, (name, schema) in enumerate(TOOLS):
        answer = ask(s, "Do it", tool_choice={"type": "function", "function": {"name": name}}, seed=i)[1]
        calls = answer["choices"][0]["message"].get("tool_calls", [])
        check("named_" + name, calls and all(c["function"]["name"] == name for c in calls) and not fault_of(answer["choices"][0]["message"]), answer)
    answer = ask(s, "Hello", tool_choice="none", seed=1, max_tokens=20)[1]["choices"][0]
    check("none", answer["message"]["content"] and "tool_calls" not in answer["message"], answer)
    for i in range(8):
        answer = ask(s, "Hello", seed=i, max_tokens=40)[1]["choices"][0]
        m = answer["message"]
        if (answer["finish_reason"] == "tool_calls") != bool(m.get("tool_calls")):
            check("auto", False, answer)
            return
    check("auto", True)
    same("unknown_name", 400, ask(s, "x", tool_choice={"type": "function", "function": {"name": "f"}})[0])
    same("no_tools_to_require", 400, s.chat(messages=[{"role": "user", "content": "x"}], tool_choice="required")[0])
    status, answer = ask(s, "x", tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "unevaluatedItems": False}}}])
    check("schema_is_refused_by_keyword", status == 400 and "unevaluatedItems" in answer["error"]["message"], answer)


def streams(s):
    body = {"messages": [{"role": "user", "content": "Do it"}], "tools": LIST, "tool_choice": "required", "seed": 5, "temperature": 1}
    whole = s.chat(**body)[1]["choices"][0]
    data = s.request("POST", "/v1/chat/completions", {**body, "stream": True})[2]
    chunks, done = events(data)
    deltas = [c for chunk in chunks for choice in chunk["choices"] for c in choice["delta"].get("tool_calls", [])]
    first = {}
    for d in deltas:
        first.setdefault(d["index"], d)
    check("deltas", done and deltas and all("index" in d for d in deltas) and all(d.get("id") and d["function"].get("name") for d in first.values()), deltas)
    calls = merged(chunks)["choices"][0][1]["calls"]
    same("streamed_as_whole", [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in whole["message"]["tool_calls"]],
         [(calls[i]["id"], calls[i]["name"], calls[i]["arguments"]) for i in sorted(calls)])
    same("same_again", whole, s.chat(**{**body, "cache_prompt": False})[1]["choices"][0])
    message = whole["message"]
    messages = body["messages"] + [message] + [{"role": "tool", "tool_call_id": c["id"], "content": "{\"result\": 22}"} for c in message["tool_calls"]]
    go_on = {"messages": messages, "tools": LIST, "seed": 6, "temperature": 1, "max_tokens": 30, "tool_choice": "none"}
    status, answer = s.chat(**go_on)
    check("results_go_back", status == 200 and answer["choices"][0]["message"]["content"] is not None, answer)
    status, again = s.chat(**{**go_on, "cache_prompt": False})
    same("results_without_cache", answer["choices"], again["choices"])
    check("calls_of_before_are_cached", answer["usage"]["prompt_tokens_details"]["cached_tokens"] > 20, answer["usage"])
    same("result_of_nothing", 400, s.chat(messages=[{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "a", "content": "x"}])[0])


def main():
    with Server("-m", sys.argv[1], "-q", "-b", "4") as s:
        choices(s)
        streams(s)
        many(s, int(sys.argv[2]) if len(sys.argv) > 2 else 20)
    finish()


main()
