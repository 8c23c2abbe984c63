"""The same request gives the same bytes: random conversations of several turns, one after the other and
side by side, with and without the cache, in another order, after a restart, on another instruction set.
usage: promise.py [CONVERSATIONS [THREADS]]"""
import random
import sys
import threading

from client import Server, check, events, finish, merged, skipped, without_differences

WORDS = ("the old king had three sons who lived in a house by the sea and one day a bird came to tell "
         "them of snow gold bread Zürich 水 naïve 42 x=y (maybe) \"quoted\" { } [INST] </s> \n end.").split(" ")
SYSTEMS = [None, "Be brief.", "You are a sailor who knows every harbour of the north and tells of it."]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "n": {"type": "integer"}},
          "required": ["name", "n"]}


def words(r, n):
    return " ".join(r.choice(WORDS) for _ in range(n))


def plan(seed):
    """Settings and users' texts of a conversation: a function of its number."""
    r = random.Random(seed)
    body = {"max_tokens": r.randint(4, 32), "temperature": r.choice([0, 0.8, 1.3]), "seed": r.randint(0, 2**40)}
    if r.random() < 0.3:
        body["n"] = r.randint(2, 3)
    if r.random() < 0.3:
        body.update(stream=True, stream_options={"include_usage": True})
    if r.random() < 0.2:
        body.update(logprobs=True, top_logprobs=r.randint(0, 3))
    if r.random() < 0.2:
        body["stop"] = [r.choice(["the", ".", "a b", "\n"])]
    if r.random() < 0.1:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    if r.random() < 0.2:
        body.update(frequency_penalty=0.5, repeat_penalty=1.1)
    texts = [words(r, r.randint(1, 30)) for _ in range(r.randint(1, 4))]
    return body, r.choice(SYSTEMS), texts, r.random() < 0.2


def talk(server, seed, use_cache):
    """All answers of a conversation, without what may differ."""
    body, system, texts, asks_again = plan(seed)
    messages = [{"role": "system", "content": system}] if system else []
    answers = []
    for text in texts:
        messages = messages + [{"role": "user", "content": text}]
        for _ in range(2 if asks_again else 1):
            status, _, data = server.request("POST", "/v1/chat/completions",
                                             dict(body, messages=messages, cache_prompt=use_cache))
            if status != 200:
                return [data]
            if body.get("stream"):
                chunks, done = events(data)
                answer = merged(chunks)
                answers.append((answer, done))
                content = answer["choices"][0][1]["text"]
            else:
                answers.append(without_differences(data))
                import json
                content = json.loads(data)["choices"][0]["message"]["content"]
        messages = messages + [{"role": "assistant", "content": content}]
    return answers


def run(server, seeds, n_threads, use_cache=True):
    found, left, lock = {}, list(seeds), threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                seed = left.pop(0)
            answers = talk(server, seed, use_cache)
            with lock:
                found[seed] = answers

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return found


def compare(name, expected, found):
    bad = [s for s in found if expected[s] != found[s]]
    check(name, not bad and found, "%d of %d differ, first %s:\n%s\n%s" % (
        len(bad), len(found), bad[:1], expected[bad[0]] if bad else "", found[bad[0]] if bad else ""))


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    seeds = list(range(n))
    shuffled = seeds[:]
    random.Random(1).shuffle(shuffled)
    with Server("-b", "4", "-q", "-t", "1") as s:
        expected = run(s, seeds, 1)
        check("conversations_%d" % n, all(type(a[0]) is not bytes or b'"error"' not in a[0] for a in expected.values()))
        check("cache_is_used", s.metric("bise_cached_tokens_total") > 0)
        compare("side_by_side_4", expected, run(s, seeds, 4))
        compare("shuffled_side_by_side_16", expected, run(s, shuffled, 16))
        compare("without_the_cache", expected, run(s, shuffled, 4, use_cache=False))
    with Server("-b", "3", "-q", "-t", "2", "--stall", "1") as s:
        compare("after_a_restart_with_other_settings", expected, run(s, shuffled, 7))
    for isa, most in (("avx2", n), ("neon", n), ("scalar", 50 if n >= 200 else max(2, n // 8))):
        try:
            with Server("-b", "4", "-q", "-t", "1", "--isa", isa) as s:
                compare(isa, expected, run(s, seeds[:most], 4))
        except RuntimeError:
            skipped(isa, "not on this CPU")
    finish()


main()
