"""Checks random walks (tests/golden/schemas --walks) by python3-jsonschema: usage: walks.py FILE"""
import json
import sys
import warnings

import jsonschema

warnings.simplefilter("ignore")


def validator(schema, text):
    default = jsonschema.Draft202012Validator
    if '"additionalItems"' in text or '"dependencies"' in text or '"items": [' in text:
        default = jsonschema.Draft7Validator
    kind = jsonschema.validators.validator_for(schema, default=default)
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def main():
    n = bad = skipped = 0
    last = check = None
    for line in open(sys.argv[1], encoding="utf-8"):
        walk = json.loads(line)
        text = json.dumps(walk["schema"])
        if text != last:
            last, check = text, validator(walk["schema"], text) if isinstance(walk["schema"], dict) else None
        try:
            value = json.loads(walk["text"])
            error = next(iter(check.iter_errors(value)), None) if check and '"nullable"' not in text else None
        except Exception as e:  # a schema that this validator cannot take
            if "JSON" in type(e).__name__:
                print("not JSON:", walk["name"], walk["text"][:200])
                bad += 1
            else:
                skipped += 1
            continue
        n += 1
        if error is not None:
            bad += 1
            print("invalid:", walk["name"], list(error.absolute_path), error.message[:300], "|", walk["text"][:300])
    print(f"jsonschema: {n} texts, {bad} invalid, {skipped} of schemas it cannot take")
    return bad != 0


sys.exit(main())
