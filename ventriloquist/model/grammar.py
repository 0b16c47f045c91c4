"""The schema of one line as an llguidance grammar: what the model may write next, token by token."""

from __future__ import annotations

import json
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal

import llguidance
import numpy as np
import numpy.typing as npt

from ventriloquist.faults import Fault
from ventriloquist.windows.lines import CONTENT_TYPES, DELTAS, KEYS, quote

# Length is bounded by counting tokens: a bound in the expression makes masks slower by an order of magnitude.
_STRING = r'/"([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u[0-9a-f]{4})+"/'
_LEADS = {key: ("{" if key == KEYS[0] else ", ") + f'"{key}": ' for key in KEYS}


KEPT_LINES = 32
"""Compiled grammars that are kept; compiling one takes a millisecond, copying it a microsecond."""


def line_grammar(
    names: Sequence[str], replies: Sequence[str], owed: str = "", spelt: Callable[[str], str] = str
) -> str:
    """Lark text for a line by one of `names`, replying to nothing or to one of `replies` (already cut).

    `owed` is text that stands before the line and has not been read yet; `spelt` is how the tokenizer spells a text.
    """
    reply = dict.fromkeys([quote(None), *(spelt(quote(text)) for text in replies)])
    fixed = {key: _literal(lead) for key, lead in _LEADS.items()}
    return "\n".join(
        (
            "start: "
            + (f"{_literal(owed)} " if owed else "")
            + " ".join(f"{fixed[key]} {key}" for key in KEYS)
            + " "
            + _literal("}\n"),
            f"name: {_any(dict.fromkeys(spelt(quote(name)) for name in names))}",
            f"delta: {_any(quote(delta) for delta in DELTAS)}",
            f"reply_to: {_any(reply)}",
            f"content_type: {_any(quote(kind) for kind in CONTENT_TYPES)}",
            "text: TEXT",
            f"TEXT: {_STRING}",
        )
    )


def _any(values: Any) -> str:
    return " | ".join(_literal(value) for value in values)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # DEL may not stand bare in a grammar


class Constraint:
    """Follows one line through the grammar. `mask` is a buffer of 32 bits a word that many constraints may share."""

    def __init__(self, matcher: llguidance.LLMatcher, mask: npt.NDArray[np.int32], vocabulary: int) -> None:
        self._matcher = matcher
        self._mask = mask
        self._vocabulary = vocabulary
        self._check()

    def forced(self) -> list[int]:
        """The tokens that can only come next, the same as training's; maybe none."""
        return list(self._matcher.compute_ff_tokens())

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which tokens may come next, (vocabulary,)."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        # Faster than any look-up into memory of our own, though it returns new memory each time.
        bits = np.unpackbits(self._mask.view(np.uint8), count=self._vocabulary, bitorder="little")
        return bits.view(np.bool_)

    def take(self, tokens: Sequence[int]) -> None:
        self._matcher.consume_tokens(list(tokens))
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise Fault("The grammar of a line could not be followed; please report this with the base's name.")


def _without_special_names(tokenizer: Any) -> str:
    """The tokenizer as JSON, its special tokens renamed to what no line can hold (a bare NUL).

    Training reads a special token that someone typed as plain text; llguidance would offer the token itself, and
    then refuse it.
    """
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = definition["model"]["vocab"]
    for token in definition["added_tokens"]:
        if token["special"]:
            renamed = f"\x00{token['id']}\x00"
            if isinstance(vocabulary, dict) and token["content"] in vocabulary:
                vocabulary[renamed] = vocabulary.pop(token["content"])
            token["content"] = renamed
    return json.dumps({**definition, "post_processor": None, "truncation": None, "padding": None})


def _unicode_forms(definition: Any) -> list[Literal["NFC", "NFD", "NFKC", "NFKD"]]:
    """The forms into which a tokenizer brings text before it reads it; what else its normaliser does is left out."""
    if not isinstance(definition, dict):
        return []
    forms = [form for part in definition.get("normalizers", ()) for form in _unicode_forms(part)]
    return [*forms, definition["type"]] if definition.get("type") in ("NFC", "NFD", "NFKC", "NFKD") else forms


class Grammars:
    """Makes constraints for one tokenizer; compiled lines are kept and copied."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        try:
            self._tokenizer = llguidance.LLTokenizer(
                _without_special_names(tokenizer), n_vocab=vocabulary, eos_token=tokenizer.eos_token_id
            )
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise Fault("This base's tokenizer cannot be held to the schema of a line; use another base.") from None
            raise
        self._forms = _unicode_forms(json.loads(tokenizer.backend_tokenizer.to_str())["normalizer"])
        self._vocabulary = vocabulary
        self._mask = np.zeros((vocabulary + 31) // 32, dtype=np.int32)
        self._compiled: OrderedDict[tuple[tuple[str, ...], tuple[str, ...], str], llguidance.LLMatcher] = OrderedDict()

    def line(self, names: Sequence[str], replies: Sequence[str], owed: str = "") -> Constraint:
        """A constraint at the start of a line; see `line_grammar`."""
        key = (tuple(names), tuple(replies), owed)
        matcher = self._compiled.get(key)
        if matcher is None:
            matcher = llguidance.LLMatcher(self._tokenizer, line_grammar(names, replies, owed, self.spelt))
            self._compiled[key] = matcher
            if len(self._compiled) > KEPT_LINES:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return Constraint(matcher.deep_copy(), self._mask, self._vocabulary)

    def spelt(self, text: str) -> str:
        """A text as the tokenizer reads it: Qwen's, for one, composes accents (NFC)."""
        for form in self._forms:
            text = unicodedata.normalize(form, text)
        return text

    def written(self, tokens: Sequence[int]) -> bytes:
        """The bytes that tokens write: those the grammar goes by; a character may be cut."""
        data: bytes = self._tokenizer.decode_bytes(list(tokens))
        return data
