"""A tokenizer.json made of a tokenizer.model, as Hugging Face's converters make it.

usage: make_tokenizer_json.py TOKENIZER.MODEL STYLE OUT.json
STYLE  old     normalizer Prepend and Replace, merges as strings (transformers 4 with legacy)
       first   Metaspace before the first word, words not taken one by one, merges as pairs
       words   Metaspace before every stretch, words one by one, a word that is a piece as a whole
       tokens  as old, with tokens matched in text: lstrip, rstrip, single_word, normalized
       first-tokens, words-tokens   likewise
Only control pieces are special tokens. The rules of merges are those of transformers'
convert_slow_tokenizer.py.
"""
import json
import struct
import sys


def varint(b, i):
    value = shift = 0
    while True:
        value |= (b[i] & 127) << shift
        shift += 7
        i += 1
        if b[i - 1] < 128:
            return value, i


def fields(b):
    i = 0
    while i < len(b):
        tag, i = varint(b, i)
        if tag & 7 == 2:
            n, i = varint(b, i)
            yield tag >> 3, b[i:i + n]
            i += n
        elif tag & 7 == 0:
            value, i = varint(b, i)
            yield tag >> 3, value
        else:
            n = 4 if tag & 7 == 5 else 8
            yield tag >> 3, b[i:i + n]
            i += n


def pieces(path):
    for number, value in fields(open(path, "rb").read()):
        if number == 1:
            piece = dict(fields(value))
            yield piece[1].decode(), struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0], piece.get(3, 1)


def merges_of(vocab, scores, by_length):
    merges = []
    for whole, score in scores.items():
        sides = [(whole[:i], whole[i:], score) for i in range(1, len(whole))
                 if whole[:i] in vocab and whole[i:] in vocab]
        merges += sorted(sides, key=lambda x: (vocab[x[0]], vocab[x[1]]))
    key = (lambda x: (x[2], len(x[0]), len(x[1]))) if by_length else (lambda x: x[2])
    return [x[:2] for x in sorted(merges, key=key, reverse=True)]


def added(id_, content, special, **flags):
    token = {"id": id_, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": special}
    token.update(flags)
    return token


def main(model, style, out):
    mark = "\u2581"
    everything = list(pieces(model))
    vocab = {text: i for i, (text, _, _) in enumerate(everything)}
    scores = {text: score for text, score, _ in everything}
    old = style in ("old", "tokens")
    words = style.startswith("words")
    merges = merges_of(vocab, scores, not old)
    tokens = [added(i, text, kind != 4) for i, (text, _, kind) in enumerate(everything) if kind in (2, 3, 4)]
    if style.endswith("tokens"):
        n = len(everything)
        for text, flags in [
                ("<plain>", {}), ("<left>", {"lstrip": True}), ("<right>", {"rstrip": True}),
                ("<both>", {"lstrip": True, "rstrip": True}), ("single", {"single_word": True}),
                ("<changed>", {"normalized": True}), ("two words", {"normalized": True}),
                ("<all>", {"lstrip": True, "rstrip": True, "single_word": True, "normalized": True}),
                ("<plain><longer>", {})]:
            tokens.append(added(vocab.get(text, n), text, False, **flags))
            n += text not in vocab
    metaspace = {"type": "Metaspace", "replacement": mark, "prepend_scheme": "always" if words else "first",
                 "split": words}
    json.dump({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": mark},
            {"type": "Replace", "pattern": {"String": " "}, "content": mark}]} if old else None,
        "pre_tokenizer": None if old else metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": mark}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": words,
                  "vocab": vocab, "merges": [" ".join(m) for m in merges] if old else merges},
    }, open(out, "w", encoding="utf-8"), ensure_ascii=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
