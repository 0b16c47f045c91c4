"""The tables and indexes that a damaged database's own list of them still names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ventriloquist.sources.imessage.pages import Cell, Image

NAMES = {
    "message": (
        "guid text handle_id subject attributedBody service date is_from_me item_type other_handle group_title "
        "group_action_type share_status share_direction associated_message_guid associated_message_type "
        "balloon_bundle_id payload_data message_summary_info destination_caller_id thread_originator_guid date_edited "
        "date_retracted associated_message_emoji"
    ),
    "chat": "guid style chat_identifier service_name account_login last_addressed_handle display_name",
    "handle": "id service person_centric_id",
    "attachment": "guid filename uti mime_type transfer_name total_bytes is_sticker hide_attachment",
    "chat_message_join": "chat_id message_id",
    "chat_handle_join": "chat_id handle_id",
    "message_attachment_join": "message_id attachment_id",
    "chat_recoverable_message_join": "chat_id message_id",
}
"""The tables that matter and those of their columns that do, under the names that they must bear."""

_CREATE = re.compile(r"\s*CREATE\s+\w+\s+(?:IF\s+NOT\s+EXISTS\s+)?", re.IGNORECASE)
_WORD = re.compile(r'"((?:[^"]|"")*)"|\[([^\]]*)\]|`([^`]*)`|\'((?:[^\']|\'\')*)\'|([^\s(),]+)')
_DEFAULT = re.compile(r"\bDEFAULT\s+(?:(-?\d+)\b|'((?:[^']|'')*)')", re.IGNORECASE)
_CONSTRAINTS = ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT")
_MOST_COLUMNS = 2000


@dataclass(slots=True)
class Index:
    """An index on `columns`, all of them plain."""

    root: int
    columns: tuple[str, ...]


@dataclass(slots=True)
class Table:
    """A table. `key` is the place of the column that stands for the number of the row, -1 for none."""

    name: str
    root: int
    columns: list[str]
    defaults: list[Any]
    key: int = -1
    unique: list[tuple[str, ...]] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)

    def fits(self, values: list[Any]) -> bool:
        """Whether a record can be a row of this table: as many values, and words or numbers where they must be."""
        if not 0 < len(values) <= len(self.columns):
            return False
        by_name = dict(zip(self.columns, values, strict=False))
        for name in ("guid", "id"):
            if name in by_name and not isinstance(by_name[name], str):
                return False
        if self.name.endswith("_join"):
            return all(isinstance(value, int) for name, value in by_name.items() if name.endswith("_id"))
        return self.name != "message" or isinstance(by_name.get("date", ""), int | None)


def read_tables(image: Image) -> list[Table]:
    """Every table that could be found, those that matter under their own names though a letter is damaged."""
    tables: dict[str, Table] = {}
    rows = list(_schema_rows(image))
    for kind, name, table_name, root, sql in rows:
        if kind == "table" or (_name_in(sql) in NAMES and not kind.startswith("index")):
            known = next((each for each in (name, table_name, _name_in(sql)) if each in NAMES), name)
            table = _parse(known, root, sql)
            if table and known not in tables and not known.startswith("sqlite_"):
                tables[known] = table
    for kind, name, table_name, root, sql in rows:
        owner = tables.get(table_name) or tables.get(name.removeprefix("sqlite_autoindex_").rpartition("_")[0])
        if kind == "index" and owner and (columns := _indexed(owner, name, sql)):
            owner.indexes.append(Index(root, columns))
    return list(tables.values())


def _schema_rows(image: Image) -> Iterator[tuple[str, str, str, int, str]]:
    tree = image.tree(1)
    strays = (number for number in image.strays() if _is_schema(image, number)) if tree.broken else ()
    for cell in _all_cells(image, [*tree.pages, *strays]):
        if len(cell.values) >= 4 and isinstance(cell.values[3], int):
            kind, name, table_name, root, sql = (*cell.values, "")[:5]
            yield str(kind), str(name), str(table_name), root, sql if isinstance(sql, str) else ""


def _is_schema(image: Image, number: int) -> bool:
    first = next(image.cells(number), None)
    return first is not None and len(first.values) == 5 and first.values[0] in ("table", "index", "trigger", "view")


def _all_cells(image: Image, pages: Iterable[int]) -> Iterator[Cell]:
    for number in pages:
        yield from image.cells(number)


def _name_in(sql: str) -> str:
    start = _CREATE.match(sql)
    word = _WORD.match(sql, start.end()) if start else None
    return _unquoted(word) if word else ""


def _unquoted(word: re.Match[str]) -> str:
    return next((group for group in word.groups() if group is not None), "")


def _parse(name: str, root: int, sql: str) -> Table | None:
    """The table that a CREATE TABLE makes; None for what has no columns or keeps its rows in another way."""
    if re.search(r"\bWITHOUT\s+ROWID\b", sql[-60:], re.IGNORECASE):
        return None
    table = _with_columns(name, root, _between_parentheses(sql))
    if not {*NAMES.get(name, "").split()} <= {*table.columns}:
        # A damaged letter may have become a parenthesis or a quote that swallows the rest.
        bluntly = _with_columns(name, root, [part.strip() for part in sql.partition("(")[2].split(",")])
        table = bluntly if len(bluntly.columns) > len(table.columns) else table
    lowered = [column.lower() for column in table.columns]
    return table if lowered and len(set(lowered)) == len(lowered) else None


def _with_columns(name: str, root: int, definitions: list[str]) -> Table:
    table = Table(name, root, [], [])
    for definition in definitions[:_MOST_COLUMNS]:
        word = _WORD.match(definition)
        if word is None:
            table.columns.append(f"damaged {len(table.columns)}")
            table.defaults.append(None)
            continue
        rest = definition[word.end() :]
        if word[5] and word[5].upper() in _CONSTRAINTS:
            if word[5].upper() in ("PRIMARY", "UNIQUE"):
                table.unique.append(_names_of(_between_parentheses(definition)))
            continue
        table.columns.append(_unquoted(word).replace("\0", ""))
        default = _DEFAULT.search(rest)
        number, words = default.groups() if default else (None, None)
        table.defaults.append(int(number) if number else words.replace("''", "'") if words is not None else None)
        if re.match(r"\s*INTEGER\s+PRIMARY\s+KEY", rest, re.IGNORECASE):
            table.key = len(table.columns) - 1
        elif re.search(r"\bPRIMARY\s+KEY\b", rest, re.IGNORECASE):
            table.unique.append((table.columns[-1],))
        if re.search(r"\bUNIQUE\b", rest, re.IGNORECASE):
            table.unique.append((table.columns[-1],))
    _mend_names(table)
    return table


def _between_parentheses(sql: str) -> list[str]:
    """What stands between the first parenthesis and its end, cut at the commas."""
    parts, depth, quote = [""], 0, ""
    for letter in sql:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'`":
            quote = letter
        elif letter == "(":
            depth += 1
            if depth == 1:
                continue
        elif letter == ")":
            depth -= 1
            if depth == 0:
                break
        elif letter == "," and depth == 1:
            parts.append("")
            continue
        if depth:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _names_of(definitions: list[str]) -> tuple[str, ...]:
    words = [_WORD.match(definition) for definition in definitions]
    return tuple(_unquoted(word) for word in words if word)


def _mend_names(table: Table) -> None:
    """Give a column that matters its name back where a letter or two of it are damaged."""
    wanted = NAMES.get(table.name, "").split()
    for name in wanted:
        if name in table.columns:
            continue
        for place, found in enumerate(table.columns):
            differing = sum(a != b for a, b in zip(name, found, strict=False))
            if found not in wanted and len(found) == len(name) and differing <= (1 if len(name) < 6 else 2):
                table.columns[place] = name
                break


def _indexed(table: Table, name: str, sql: str) -> tuple[str, ...]:
    """The columns of an index, none where it is on part of the rows or on anything else than columns."""
    if not sql:
        number = name.rpartition("_")[2]
        known = number.isdigit() and 0 < int(number) <= len(table.unique)
        columns = table.unique[int(number) - 1] if known else ()
    elif re.search(r"\)\s*WHERE\b", sql, re.IGNORECASE):
        return ()
    else:
        columns = _names_of(_between_parentheses(sql))
    return columns if all(column in table.columns for column in columns) else ()
