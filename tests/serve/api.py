"""Endpoints and fields, each by what it must do.
usage: api.py MODEL"""
import json
import re
import subprocess
import sys
import time

import client
from client import Server, check, events, finish, merged, same

BODY = {"max_tokens": 12, "temperature": 0}


def user(text):
    return {"role": "user", "content": text}


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def small(s):
    status, data = s.post("/tokenize", {"content": "The old king", "add_special": True})
    ids = data["tokens"]
    check("tokenize", status == 200 and ids[0] == 1 and len(ids) > 3, data)
    same("detokenize", " The old king", s.post("/detokenize", {"tokens": ids})[1]["content"])
    same("detokenize_beyond", 400, s.post("/detokenize", {"tokens": [4096]})[0])
    models = json.loads(s.request("GET", "/v1/models")[2])
    model = models["data"][0]
    check("models", model["owned_by"] == "bise" and model["window"] == 128 and model["context"] > 0, models)
    same("model", model, json.loads(s.request("GET", "/v1/models/" + model["id"])[2]))
    same("no_model", 404, s.request("GET", "/v1/models/gpt")[0])
    props = json.loads(s.request("GET", "/props")[2])
    check("props", props["sequences"] == 2 and "/" not in json.dumps(props), props)
    metrics = s.request("GET", "/metrics")[2].decode()
    check("metrics", re.search(r"^bise_requests_total\{status=\"2xx\"\} [1-9]", metrics, re.M) and "/" not in metrics, metrics)
    same("moderations_are_off", 404, s.post("/v1/moderations", {"input": "x"})[0])


def chat(s):
    same("one_role_joined", s.chat(messages=[user("The old\n\nking")], **BODY)[1]["choices"],
         s.chat(messages=[user("The old"), user("king")], **BODY)[1]["choices"])
    same("parts_joined", s.chat(messages=[user("The old\n\nking")], **BODY)[1]["choices"],
         s.chat(messages=[{"role": "user", "content": [{"type": "text", "text": "The old"}, {"type": "text", "text": "king"}]}], **BODY)[1]["choices"])
    same("system_is_system", s.chat(messages=[{"role": "system", "content": "A"}, {"role": "system", "content": "B"}, user("C")], **BODY)[1]["choices"],
         s.chat(messages=[{"role": "developer", "content": "A\n\nB"}, user("C")], **BODY)[1]["choices"])
    guard, plain = (s.chat(messages=[user("C")], safe_prompt=g, **BODY)[1]["usage"]["prompt_tokens"] for g in (True, False))
    check("guardrail", guard > plain + 20, (guard, plain))
    # An answer cut after some tokens goes on as it would have, where its text encodes as it was written.
    whole = text_of(s.chat(messages=[user("I want to find a restaurant.")], **BODY)[1])
    begun = " ".join(whole.split(" ")[:2])
    rest = text_of(s.chat(messages=[user("I want to find a restaurant."), {"role": "assistant", "content": begun}], **BODY)[1])
    check("goes_on", whole.startswith(begun + rest[:len(whole) - len(begun)]), (whole, begun, rest))
    several = s.chat(messages=[user("Hello")], n=3, seed=5, max_tokens=12, temperature=1)[1]
    alone = [s.chat(messages=[user("Hello")], seed=5 + i, max_tokens=12, temperature=1)[1]["choices"][0]["message"] for i in range(3)]
    same("choice_i_has_seed_plus_i", alone, [c["message"] for c in several["choices"]])
    same("indices", [0, 1, 2], [c["index"] for c in several["choices"]])
    seeds = [s.chat(messages=[user("Hello")], max_tokens=1, temperature=1)[1]["seed"] for _ in range(2)]
    check("seed_is_drawn", seeds[0] != seeds[1], seeds)
    drawn = s.chat(messages=[user("Hello")], max_tokens=9, temperature=1)[1]
    same("drawn_seed_repeats", drawn["choices"], s.chat(messages=[user("Hello")], max_tokens=9, temperature=1, seed=drawn["seed"])[1]["choices"])
    same("seed_of_greedy", 0, s.chat(messages=[user("Hello")], **BODY)[1]["seed"])
    same("negative_seed", -3, s.chat(messages=[user("Hello")], random_seed=-3, **BODY)[1]["seed"])
    stop = whole.split(" ")[2]
    cut = s.chat(messages=[user("I want to find a restaurant.")], stop=[stop, "zzz"], **BODY)[1]["choices"][0]
    check("stop", cut["finish_reason"] == "stop" and stop not in cut["message"]["content"] and whole.startswith(cut["message"]["content"]), cut)
    banned = s.chat(messages=[user("I want to find a restaurant.")], logit_bias={str(s.post("/tokenize", {"content": begun.split(" ")[0]})[1]["tokens"][-1]): -100}, **BODY)[1]
    check("logit_bias", not text_of(banned).startswith(begun.split(" ")[0]), text_of(banned))
    same("length", "length", s.chat(messages=[user("Hello")], max_tokens=1, temperature=0)[1]["choices"][0]["finish_reason"])
    grammar = s.chat(messages=[user("Hello")], grammar='root ::= "yes" | "no"', **BODY)[1]
    check("grammar", text_of(grammar) in ("yes", "no"), grammar)
    value = s.chat(messages=[user("Hello")], response_format={"type": "json_object"}, max_tokens=400, temperature=0)[1]["choices"][0]
    check("json_object", value["finish_reason"] == "length" or isinstance(json.loads(value["message"]["content"]), dict), value)
    chunks, done = events(s.request("POST", "/v1/chat/completions", {"messages": [user("Zürich 水 naïve")], "stream": True, "temperature": 1.5, "seed": 1, "max_tokens": 40})[2])
    check("stream", done and chunks[0]["choices"][0]["delta"]["role"] == "assistant" and "usage" not in chunks[-1]
          and chunks[-1]["choices"][0]["finish_reason"] and "\ufffd" not in chunks[1]["choices"][0]["delta"].get("content", ""), chunks[-1])


def completions(s):
    c = s.post("/v1/completions", {"prompt": "The old king", "max_tokens": 6, "temperature": 0, "logprobs": 2, "echo": True})[1]["choices"][0]
    l = c["logprobs"]
    n = len(l["tokens"])
    check("echo", c["text"].startswith("The old king") and "".join(l["tokens"]).lstrip() == c["text"]
          and n == len(l["token_logprobs"]) == len(l["top_logprobs"]) == len(l["text_offset"]), c)
    plain = s.post("/v1/completions", {"prompt": "The old king", "max_tokens": 6, "temperature": 0})[1]["choices"][0]
    offsets = s.post("/v1/completions", {"prompt": "Zürich 水 naïve", "max_tokens": 0, "logprobs": 0, "echo": True})[1]["choices"][0]
    same("offsets_count_characters", [o for o in range(len(offsets["text"])) if offsets["text"][o] in " Z"],
         sorted({o for o, t in zip(offsets["logprobs"]["text_offset"], offsets["logprobs"]["tokens"]) if t.startswith(" ")}))
    same("echo_changes_nothing", c["text"], "The old king" + plain["text"])
    # The same values as chat's own logprobs would give: of the answer's tokens without echo.
    own = s.post("/v1/completions", {"prompt": "The old king", "max_tokens": 6, "temperature": 0, "logprobs": 2})[1]["choices"][0]["logprobs"]
    same("logprobs_with_and_without_echo", own["token_logprobs"], l["token_logprobs"][-len(own["tokens"]):])
    scored = s.post("/v1/completions", {"prompt": "The old king", "max_tokens": 0, "logprobs": 0, "echo": True})[1]["choices"][0]
    same("scored_alone", l["token_logprobs"][:len(scored["logprobs"]["tokens"])], scored["logprobs"]["token_logprobs"])
    ids = s.post("/tokenize", {"content": "The old king", "add_special": True})[1]["tokens"]
    same("prompt_of_ids", plain["text"], s.post("/v1/completions", {"prompt": ids, "max_tokens": 6, "temperature": 0})[1]["choices"][0]["text"])
    same("prompt_of_ids_in_a_list", plain["text"], s.post("/v1/completions", {"prompt": [ids], "max_tokens": 6, "temperature": 0})[1]["choices"][0]["text"])
    same("several_prompts", 400, s.post("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 6})[0])
    same("suffix", 400, s.post("/v1/completions", {"prompt": "x", "suffix": "y"})[0])


def cache(s):
    """Sequences are taken over, copied and foreseen; what is held counts as cached."""
    messages = [user("Tell me of the sea and the ships that sail on it")]
    first = s.chat(messages=messages, **BODY)[1]
    messages += [{"role": "assistant", "content": text_of(first)}, user("And then?")]
    time.sleep(0.2)  # while nothing is to be done, what the next prompt begins with is read
    second = s.chat(messages=messages, **BODY)[1]["usage"]
    check("goes_on_from_the_cache", second["prompt_tokens_details"]["cached_tokens"] >= first["usage"]["prompt_tokens"], second)
    again = s.chat(messages=messages, **BODY)[1]["usage"]
    same("asked_again", second["prompt_tokens"] - 1, again["prompt_tokens_details"]["cached_tokens"])
    none = s.chat(messages=messages, cache_prompt=False, **BODY)[1]["usage"]
    same("no_cache", 0, none["prompt_tokens_details"]["cached_tokens"])


def overflow(model):
    with Server("-m", model, "-q", "-c", "200", "-b", "2", "--window", "0", "--overflow", "drop") as s:
        messages, seen = [], []
        for i in range(14):
            messages.append(user("Message %d: the old king went to the sea" % i))
            status, answer = s.chat(messages=messages, **BODY)
            if status != 200:
                seen.append(answer)
                break
            messages.append({"role": "assistant", "content": text_of(answer)})
            u = answer["usage"]
            seen.append((u["dropped_tokens"], u["prompt_tokens"], u["prompt_tokens_details"]["cached_tokens"]))
        check("drop", len(seen) == 14 and all(type(x) is tuple and x[1] < 200 for x in seen) and seen[0][0] == 0 and seen[-1][0] > 0, seen)
        steps = len({d for d, _, _ in seen}) - 1
        check("dropped_in_steps", 0 < steps < 7, seen)
        same("stop_instead", 400, s.chat(messages=messages, overflow="stop", **BODY)[0])
        error = s.chat(messages=messages, overflow="stop", **BODY)[1]["error"]
        check("says_the_numbers", error["code"] == "context_length_exceeded" and "200" in error["message"], error)
        same("no_sink", 400, s.chat(messages=messages, overflow="sink", **BODY)[0])
        full = s.chat(messages=[user("Hello")], temperature=0, logit_bias={"2": -100})[1]
        check("answer_ends_with_the_context", full["choices"][0]["finish_reason"] == "length" and full["usage"]["total_tokens"] == 200, full["usage"])
    with Server("-m", model, "-q", "-c", "200", "-b", "1", "--window", "0", "--overflow", "sink") as s:
        full = s.chat(messages=[user("Hello")], max_tokens=500, temperature=0, logit_bias={"2": -100})[1]
        same("sink_goes_on", 500, full["usage"]["completion_tokens"])


def moderation(model):
    with Server("-m", model, "-q", "-b", "2", "--moderate", "--threshold", "1e-9") as s:
        status, answer = s.chat(messages=[user("Hello")], **BODY)
        check("all_is_filtered", answer["choices"][0]["finish_reason"] == "content_filter" and not text_of(answer), answer)
        chunks, done = events(s.request("POST", "/v1/chat/completions", {"messages": [user("Hello")], "stream": True})[2])
        m = merged(chunks)["choices"][0][1]
        check("stream_is_filtered", done and m["finish"] == "content_filter" and m["text"] == "", chunks)
    with Server("-m", model, "-q", "-b", "2") as s:
        expected = s.chat(messages=[user("Hello")], **BODY)[1]["choices"]
    with Server("-m", model, "-q", "-b", "2", "--moderate", "--threshold", "1") as s:
        same("nothing_is_filtered", expected, s.chat(messages=[user("Hello")], **BODY)[1]["choices"])
        status, headers, data = s.request("POST", "/v1/chat/completions", {"messages": [user("Hello")], "stream": True, **BODY})
        same("held_back_is_a_stream", "text/event-stream", headers["content-type"])
        m = merged(events(data)[0])["choices"][0][1]
        same("held_back_stream", expected[0]["message"]["content"], m["text"])
        status, verdict = s.post("/v1/moderations", {"input": "Hello"})
        scores = verdict["results"][0]["category_scores"]
        check("moderations", status == 200 and abs(sum(scores.values()) - 1) < 1e-6 and len(scores) == 14, verdict)
        risk = {t: 1 - s.post("/v1/moderations", {"input": t})[1]["results"][0]["category_scores"]["not moderated"] for t in ("Hello", "The old king")}
        out = subprocess.run([client.BISE, "moderate", "-m", model, "Hello", "--json", "-q"], capture_output=True)
        there = json.loads(out.stdout)["messages"][0]["probabilities"]
        check("as_bise_moderate", all(abs(there[k] - v) < 1e-6 for k, v in scores.items()), (there, scores))


    worse, better = sorted(risk, key=risk.get, reverse=True)
    with Server("-m", model, "-q", "-b", "2", "--moderate", "--threshold", str(sum(risk.values()) / 2)) as s:
        def ends(texts, reply="So it is."):
            messages = [m for t in texts for m in (user(t), {"role": "assistant", "content": reply})][:-1]
            return s.chat(messages=messages, max_tokens=1, temperature=0)[1]

        same("a_message_of_before", "content_filter", ends([worse, better])["choices"][0]["finish_reason"])
        counts = [ends(t)["usage"]["completion_tokens"] for t in ([better], [better, better], [worse], [better, worse])]
        same("each_message_is_judged", [True, True, False, False], [n > 0 for n in counts])
        ids = s.post("/tokenize", {"content": worse})[1]["tokens"]
        same("ids_are_judged", 0, s.post("/v1/completions", {"prompt": ids, "max_tokens": 1})[1]["usage"]["completion_tokens"])


def base_model(model):
    with Server("-m", model, "-q", "--chat-format", "none") as s:
        status, answer = s.chat(messages=[user("Hello")], **BODY)
        check("base_models_chat", status == 400 and "base model" in answer["error"]["message"], answer)
        same("base_models_completion", 200, s.post("/v1/completions", {"prompt": "The old", "max_tokens": 3})[0])


def log(model):
    for options, pattern in (((), r"^\S+Z 127\.0\.0\.1 POST /v1/chat/completions 200 prompt \d+ \(\d+ cached\) answer \d+ "),
                             (("--log-json",), r'^\{"time":"[^"]+","peer":"127\.0\.0\.1","method":"POST","path":"/v1/chat/completions","status":200,')):
        with Server("-m", model, *options) as s:
            s.chat(messages=[user("a secret text")], **BODY)
            s.request("GET", "/v1/models?token=secret")
            said = s.said()
            name = "log_json" if options else "log"
            check(name, re.search(pattern, said, re.M) and "secret" not in said, said)


def main():
    model = sys.argv[1]
    with Server("-m", model, "-b", "2") as s:
        for part in (small, chat, completions, cache):
            part(s)
    overflow(model)
    moderation(model)
    base_model(model)
    log(model)
    for options, text in ((("--host", "0.0.0.0"), "--api-key-file"), (("--no-key", "--api-key-file", "x"), "one of"),
                          (("--api-key-file", "/dev/null"), "expected a file"), (("--overflow", "x"), "stop, drop or sink")):
        out = subprocess.run([client.BISE, "serve", "--port", "0", *options], capture_output=True, timeout=20)
        check("refused" + options[0].replace("-", "_"), out.returncode != 0 and text in out.stderr.decode(), out.stderr)
    finish()


main()
