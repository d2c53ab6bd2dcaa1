"""Figures that trainings print, in the words that the common libraries use.

| looks like | of |
|---|---|
| `step 400/1000 loss 0.25`, `global_step=400`, `iter: 12` | scripts |
| `Epoch 3/10`, `epoch: 3` | scripts, Keras |
| `{'loss': 0.25, 'grad_norm': 1.5, 'epoch': 1.0}` | Hugging Face Trainer |
| `Epoch 2:  50%|█████     | 50/100 [00:01<00:01, 49.5it/s, train_loss=0.5]` | Lightning, tqdm |
| `938/938 - 2s 2ms/step - accuracy: 0.98 - loss: 0.05` | Keras |
| `1800 samples/s`, `12.5 it/s`, `9000 tokens/s` | all |
"""

import math
import re

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NAMED = re.compile(
    rf"(?<![\w.])['\"]?((?:(?:train|training|val|valid|validation|eval|test)[_/ ])?"
    rf"(?:loss|acc|accuracy|perplexity|ppl|f1|auc|bleu|lr|learning_rate|grad_norm))['\"]?\s*[:= ]\s*({_NUMBER})(%?)",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"(?<![\w.])['\"]?(?:global_)?(?:step|iter|iteration)s?['\"]?\s*[:= ]\s*(\d+)(?:\s*(?:/|of)\s*(\d+))?",
    re.IGNORECASE,
)
_BAR = re.compile(r"\|\s*(\d+)/(\d+)\s*\[")
_EPOCH = re.compile(rf"(?<![\w.])['\"]?epoch['\"]?\s*[:= ]\s*({_NUMBER})", re.IGNORECASE)
_THROUGHPUT = re.compile(
    rf"({_NUMBER})\s*(?:samples|examples|images|tokens|sequences|it|steps)/s(?:ec)?\b", re.IGNORECASE
)

LONGEST_LINE = 2_000
"""Characters of a line that are looked at."""


def figures_of_log(line: str) -> dict[str, float]:
    """Look for figures in a line; `step` and `total_steps` are whole numbers."""
    line = line[:LONGEST_LINE]
    found: dict[str, float] = {}
    for name, number, percent in _NAMED.findall(line):
        found[_named(name)] = float(number) / 100 if percent else float(number)
    if step := _STEP.search(line) or _BAR.search(line):
        found["step"] = int(step[1])
        if step[2]:
            found["total_steps"] = int(step[2])
    if epoch := _EPOCH.search(line):
        found["epoch"] = float(epoch[1])
    if rate := _THROUGHPUT.search(line):
        found["throughput"] = float(rate[1])
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _named(name: str) -> str:
    return name.lower().replace(" ", "_").replace("/", "_").removeprefix("train_").removeprefix("training_")
