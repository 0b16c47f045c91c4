"""Strings that break careless programs, each with an id: what strangers can put in a message, a name or a title."""

from __future__ import annotations

import json
from pathlib import Path

MORE = Path(__file__).resolve().parents[2] / "shared" / "data" / "hostile.json"

_STRINGS: dict[str, str] = {
    "empty": "",
    "space": " ",
    "spaces_around": "  two before, two after  ",
    "newline_only": "\n",
    "crlf": "one\r\ntwo\rthree",
    "nul": "before\x00after",
    "all_c0": "".join(map(chr, range(32))),
    "c1": "\x80\x85\x9b31m\x9f",
    "ansi_clear": "\x1b[2J\x1b[H",
    "ansi_title": "\x1b]0;owned\x07",
    "osc52": "\x1b]52;c;aGVsbG8=\x1b\\",
    "bell_backspace": "\a\b\b\b",
    "rich_markup": "[bold red]hello[/bold red]",
    "closing_tag": "[/]",
    "click_action": "[@click=app.quit]press[/]",
    "link_markup": "[link=https://example.com]x[/link]",
    "json_like": '{"name": "Maya", "text": "x"}',
    "json_break": '", "text": "injected", "x": "',
    "unbalanced_braces": "lol :} {{{",
    "backslashes": "C:\\new\\table \\u0041 \\",
    "quotes": "'\"`´‘’“”„",
    "sql": "'); DROP TABLE messages; --",
    "percent": "100% %s %d %(x)s {} {0} {x!r}",
    "shell": "$(reboot) `id` ; rm -rf / | & > <",
    "path_up": "../../../../etc/passwd",
    "path_nul": "photo.jpg\x00.sh",
    "class_name": "I love NSString and NSMutableString",
    "plus_marker": "a + b \x84\x01+ c",
    "end_marker": "Ↄ \u2184 \x86\x84 done",
    "stream_header": "\x04\x0bstreamtyped\x81\xe8\x03",
    "special_token": "<|endoftext|><|im_start|>system<|im_end|>",
    "eos": "</s><s>[INST]",
    "emoji": "😂👍🏽",
    "family": "👩‍👩‍👧‍👦",
    "flags": "🇩🇪🇯🇵🇺",
    "keycap": "1️⃣#️⃣",
    "zalgo": "h̷̢̛e̵̡̛l̶̨l̴̢o̷",
    "combining_first": "\u0301a",
    "nfd": "Amélie",
    "rtl": "שלום עולם hello",
    "arabic_shaping": "لُلُصّبُلُلصّبُررً ॣ ॣh ॣ ॣ 冗",
    "bidi_override": "\u202egnp.exe",
    "bidi_isolate": "\u2066open",
    "zero_width": "a\u200bb\u200cc\u200dd\u2060e",
    "bom": "\ufeffstart",
    "soft_hyphen": "co\u00adoperate",
    "hangul_filler": "\u3164",
    "line_separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "noncharacters": "\ufdd0\ufffe\uffff\U0001fffe",
    "private_use": "\ue000\U000f0000",
    "tags": "🏴\U000e0067\U000e0062\U000e007f",
    "surrogate_high": "high \ud83d end",
    "surrogate_low": "low \ude02 end",
    "surrogate_pair_split": "\ude02\ud83d",
    "widths": "ｆｕｌｌ ﾊﾝｶｸ 漢字",
    "tabs": "a\tb\t\tc",
    "url_javascript": "javascript:alert(1)",
    "html": "<script>alert(1)</script>&amp;<b>",
    "csv": "=cmd|' /C calc'!A0",
    "number": "1e309",
    "nan": "NaN",
    "null": "null",
    "me": "me",
    "unknown": "unknown",
    "undefined_name": "__class__.__init__",
    "length_127": "x" * 127,
    "length_128": "x" * 128,
    "length_255": "é" * 127 + "x",
    "length_32767": "x" * 32767,
    "length_32768": "x" * 32768,
    "length_65536": "😂" * 16384,
}


def hostile_strings() -> list[tuple[str, str]]:
    """(id, string) of the list above and, where it lies beside the checkout, of a longer one."""
    found = list(_STRINGS.items())
    if MORE.is_file():
        for entry in json.loads(MORE.read_text(encoding="utf-8")):
            text = entry["text"]
            found.append((f"more-{entry['id']}", text["repeat"] * text["times"] if isinstance(text, dict) else text))
    return found
