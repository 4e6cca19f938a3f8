"""Opens model folders with `transformers`, pads, saves them again, and prints what it saw as JSON.

Arguments: the folder that holds model folders, the folder to save to. Standard input: for each
model by name, texts to encode.
"""

import json
import pathlib
import sys

from transformers import AutoConfig, AutoTokenizer, GenerationConfig


def seen(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    padded = tokenizer(texts, padding=True)
    return {
        "n_tokens": len(tokenizer),
        "eos": [tokenizer.eos_token, tokenizer.eos_token_id],
        "pad": [tokenizer.pad_token, tokenizer.pad_token_id],
        "special": sorted(tokenizer.special_tokens_map),
        "ids": [tokenizer(text)["input_ids"] for text in texts],
        "padded": dict(padded),
        "decoded": [tokenizer.decode(ids, skip_special_tokens=True) for ids in padded["input_ids"]],
    }


def save_again(folder, to, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # What was asked for last is what `save_pretrained` writes into tokenizer.json.
    tokenizer(texts, padding=True, truncation=True, max_length=12)
    tokenizer.save_pretrained(to)
    AutoConfig.from_pretrained(folder).save_pretrained(to)
    GenerationConfig.from_pretrained(folder).save_pretrained(to)


models, saved = map(pathlib.Path, sys.argv[1:])
found = {}
for name, texts in json.load(sys.stdin).items():
    save_again(models / name, saved / name, texts)
    found[name] = {"shipped": seen(models / name, texts), "saved": seen(saved / name, texts)}
json.dump(found, sys.stdout)
