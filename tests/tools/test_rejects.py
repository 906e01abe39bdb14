"""Lines that prewarm cannot load: why, where, how many are too many, and the rejects file."""

from __future__ import annotations

import base64
import json
import random

from harness import FAILURE, OK, USAGE, CliTest, lines

GOOD = {"key": "good", "value": 1}

# Name, line, column (0: none), reason.
BAD: list[tuple[str, bytes, int, str]] = [
    ("truncated", b'{"key": "a", "val', 18, "ends in the middle of the record"),
    ("truncated_escape", b'{"key": "a\\', 12, "ends in the middle of the record"),
    ("truncated_object", b'{"key": "a", "value": {"b": 1', 30, "ends in the middle of the record"),
    ("not_json", b"hello", 1, "not a JSON object"),
    ("array", b'["key"]', 1, "not a JSON object"),
    ("text", b'"key"', 1, "not a JSON object"),
    ("two_objects", b'{"key":"a","value":1}{"key":"b","value":1}', 22, "text after the object"),
    ("trailing_comma", b'{"key":"a","value":1,}', 22, "expected a field name"),
    ("no_colon", b'{"key" "a"}', 8, "expected ':'"),
    ("no_comma", b'{"key":"a" "value":1}', 12, "expected ',' or '}'"),
    ("single_quotes", b"{'key':'a'}", 2, "expected a field name in quotes"),
    ("bare_word", b'{"key":"a","value":yes}', 20, "expected a value"),
    ("nan", b'{"key":"a","value":NaN}', 20, "expected a value"),
    ("leading_zero", b'{"key":"a","value":01}', 21, "leading zero"),
    ("bad_number", b'{"key":"a","value":1.}', 22, "expected a digit"),
    ("bad_escape", b'{"key":"a","value":"\\x41"}', 21, "unknown escape"),
    ("bad_hex", b'{"key":"a","value":"\\u00g0"}', 21, "four hexadecimal digits"),
    ("control_character", b'{"key":"a","value":"x\ty"}', 22, "control character"),
    ("nul_byte", b'{"key":"a","value":"x\x00y"}', 22, "control character"),
    ("nul_outside", b'{"key":"a","value":1}\x00', 22, "text after the object"),
    ("not_utf8", b'{"key":"a","value":"x\xff"}', 22, "not valid UTF-8"),
    ("overlong_utf8", b'{"key":"a","value":"\xc0\x80"}', 21, "not valid UTF-8"),
    ("utf8_surrogate", b'{"key":"a","value":"\xed\xa0\x80"}', 21, "not valid UTF-8"),
    ("cut_utf8", b'{"key":"a","value":"\xe2\x82"}', 21, "not valid UTF-8"),
    ("not_utf8_nested", b'{"key":"a","value":["\xff"]}', 22, "not valid UTF-8"),
    ("lone_surrogate", b'{"key":"a","value":"\\ud800"}', 0, "half of a surrogate pair"),
    ("lone_low_surrogate", b'{"key":"\\udc00","value":1}', 0, "half of a surrogate pair"),
    ("no_key", b'{"value": 1}', 0, "no field 'key'"),
    ("no_value", b'{"key": "a"}', 0, "no field 'value'"),
    ("empty_object", b"{}", 0, "no field 'key'"),
    ("empty_key", b'{"key": "", "value": 1}', 0, "the key is empty"),
    ("number_key", b'{"key": 1, "value": 1}', 0, "'key' must be a text"),
    ("long_key", json.dumps({"key": "k" * 1025, "value": 1}).encode(), 0, "the key has 1025 bytes, at most 1024"),
    ("large_value", json.dumps({"key": "a", "value": "x" * 524289}).encode(), 0, "the value has 524289 bytes, at most"),
    ("duplicate_key", b'{"key":"a","key":"b","value":1}', 12, "the field 'key' is there twice"),
    ("duplicate_escaped", b'{"key":"a","k\\u0065y":"b","value":1}', 12, "the field 'key' is there twice"),
    ("two_values", b'{"key":"a","value":1,"value_base64":"AA=="}', 0, "both 'value' and 'value_base64'"),
    ("bad_base64", b'{"key":"a","value_base64":"A==="}', 0, "not base64"),
    ("unpadded_base64", b'{"key":"a","value_base64":"AAA"}', 0, "not base64"),
    ("unknown_field", b'{"key":"a","value":1,"tll":"5m"}', 22, "unknown field 'tll'"),
    ("number_ttl", b'{"key":"a","value":1,"ttl":300}', 0, "'ttl' must be a duration in quotes"),
    ("bad_ttl", b'{"key":"a","value":1,"ttl":"5"}', 0, "'ttl': '5' has no known unit"),
    ("soft_above_hard", b'{"key":"a","value":1,"ttl":"1m","soft_ttl":"2m"}', 0, "longer than 'ttl'"),
    ("too_deep", b'{"key":"a","value":' + b"[" * 100000 + b"]" * 100000 + b"}", 276, "nested more than 256 levels"),
    ("century_ttl", b'{"key":"a","value":1,"ttl":"50000d"}', 0, "hearthd refused it: a TTL of"),
]
FINE: list[tuple[bytes, bytes]] = [
    (b'{"key":"deep","value":' + b"[" * 256 + b"]" * 256 + b"}", b"[" * 256 + b"]" * 256),
    (b'{"key":"deep","value":"\\u0000"}', b"\x00"),
    (b' \t{ "key" :"deep" , "value":\t[ ] }  ', b"[ ]"),
    (b'{"key":"deep","value":-0.5E+10}', b"-0.5E+10"),
    (b'{"key":"deep","value":{"a":{},"b":[{"c":[]}],"a":"twice inside is no matter"}}',
     b'{"a":{},"b":[{"c":[]}],"a":"twice inside is no matter"}'),
    (b'{"\\u006bey":"deep","value":1}', b"1"),
]


# What mutations start from.
SEEDS = [b'{"key":"a","value":[1,-2.5e+3,true,false,null,{"b":"\\u00e4\\n"}]}', b'{"x":{},"key":"k\xc3\xa4","y":[[],{}]}',
         b' { "key" : 12 , "z" : "\\ud83d\\ude00" } ', b'{"key":"","v":0}', b'{"a":"\\\\","key":"\\"q\\""}']
PIECES = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"u", b"0", b"1", b"-", b"+", b".", b"e", b"E", b"t", b"null",
          b" ", b"\t", b"\x00", b"\x1f", b"\x7f", b"\xc3", b"\xa4", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"key":1,', b"\\ud800"]


def mutated(rng: random.Random) -> bytes:
    line = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(0, 3)):
        at = rng.randint(0, len(line))
        match rng.randint(0, 3):
            case 0: line[at:at] = rng.choice(PIECES)
            case 1: line[at:at + rng.randint(1, 4)] = b""
            case 2: line[at:at + 1] = rng.choice(PIECES)
            case 3: del line[at:]
    return bytes(line)


def python_takes(line: bytes) -> bool:
    """The rules of --key as Python's own parser sees them."""
    def refuse(word: str) -> None:
        raise ValueError(word)
    try:
        pairs = json.loads(line.decode(), object_pairs_hook=list, parse_constant=refuse)
        if not line.strip(b" \t\r").startswith(b"{"):
            return False
        for name, _ in pairs:
            name.encode()  # half a surrogate pair has no UTF-8
        keys = [value for name, value in pairs if name == "key"]
        return len(keys) == 1 and (isinstance(keys[0], int | float) and not isinstance(keys[0], bool)
                                   or isinstance(keys[0], str) and 0 < len(keys[0].encode()) <= 1024)
    except ValueError:
        return False


class Rejects(CliTest):
    def test_it_agrees_with_another_parser_on_mutated_lines(self) -> None:
        rng = random.Random(20_000)
        data = [line for line in (mutated(rng) for _ in range(20_000)) if line.strip(b" \t\r")]
        rejects = self.folder / "mutated.jsonl"
        result = self.hearth("prewarm", "--dry-run", "--key", "key", "--rejects", str(rejects), "-",
                             stdin=b"".join(line + b"\n" for line in data))
        self.check(result, FAILURE)
        rejected = {r["line"] for r in self.read(rejects)}
        expected = {number for number, line in enumerate(data, 1) if not python_takes(line)}
        wrong = {number: data[number - 1] for number in rejected ^ expected}
        self.assertEqual(wrong, {})
        self.assertTrue(2000 < len(rejected) < len(data) - 2000, "the mutations are too tame or too wild")

    def test_each_mistake_is_found_where_it_is_and_the_others_are_loaded(self) -> None:
        rejects = self.folder / "rejects.jsonl"
        for name, line, column, reason in BAD:
            with self.subTest(name):
                data = lines({"key": f"{name}1", "value": 1}, line, {"key": f"{name}2", "value": 1})
                result = self.hearth("prewarm", "--json", "--rejects", str(rejects), "-", stdin=data)
                at = f"line 2, column {column}: " if column else "line 2: "
                self.check(result, FAILURE, at, reason, "1 rejected, more than --max-errors")
                summary = self.json(result)
                self.assertEqual((summary["result"], summary["records"], summary["loaded"], summary["rejected"]),
                                 ("too_many_rejects", 3, 2, 1))
                [reject] = self.read(rejects)
                self.assertEqual((reject["line"], reject.get("column", 0)), (2, column))
                self.assertIn(reason, reject["reason"])
                if name != "century_ttl":
                    self.assertEqual(self.text_of(reject), line)
                self.assertTrue(self.has(f"{name}1") and self.has(f"{name}2"))

    def test_what_looks_odd_and_is_right(self) -> None:
        for line, value in FINE:
            with self.subTest(line[:40]):
                self.check(self.hearth("prewarm", "-", stdin=line + b"\n"), OK)
                self.assertEqual(self.value("deep"), value)

    def test_an_embedded_nul_is_a_byte_of_the_key(self) -> None:
        self.check(self.hearth("prewarm", "--json", "-", stdin=b'{"key":"a\\u0000b","value":1}'), OK)
        self.assertFalse(self.has("a"))

    def test_a_huge_line_is_skipped_in_constant_memory(self) -> None:
        rejects = self.folder / "huge.jsonl"
        huge = b'{"key":"h","value":"' + b"x" * (40 * 1024 * 1024) + b'"}'
        data = lines({"key": "before", "value": 1}, huge, {"key": "after", "value": 1})
        result = self.hearth("prewarm", "--rejects", str(rejects), "-", stdin=data)
        self.check(result, FAILURE, "line 2: the line has more than 16777216 bytes")
        [reject] = self.read(rejects)
        self.assertTrue(reject["text_cut"])
        self.assertEqual(reject["text"], huge[:4096].decode())
        self.assertTrue(self.has("before") and self.has("after"))

    def test_a_huge_last_line_without_line_end(self) -> None:
        result = self.hearth("prewarm", "--json", "-", stdin=lines(GOOD) + b"x" * (20 * 1024 * 1024))
        self.check(result, FAILURE, "line 2: the line has more than")
        self.assertEqual(self.json(result)["lines"], 2)

    def test_ten_are_shown_and_all_are_written(self) -> None:
        rejects = self.folder / "many.jsonl"
        data = lines(*([GOOD, b"bad"] * 25))
        result = self.hearth("prewarm", "--rejects", str(rejects), "-", stdin=data)
        said = self.check(result, FAILURE, "line 20, ", f"further rejected lines are only written to '{rejects}'")
        self.assertEqual(said.count("not a JSON object"), 10)
        self.assertIn(f"rejected 25 of 50 records, see '{rejects}'", result.stdout.decode())
        self.assertEqual([r["line"] for r in self.read(rejects)], list(range(2, 51, 2)))
        self.assertEqual(rejects.stat().st_mode & 0o777, 0o600)
        # Without bad lines the file is there, and empty.
        self.check(self.hearth("prewarm", "--rejects", str(rejects), "-", stdin=lines(GOOD)), OK)
        self.assertEqual(rejects.read_bytes(), b"")

    def test_max_errors_as_a_number_and_as_a_share(self) -> None:
        data = lines(*([GOOD] * 98), b"bad", b"bad")
        for limit, code in (("0", FAILURE), ("1", FAILURE), ("2", OK), ("1.9%", FAILURE), ("2%", OK), ("100%", OK)):
            with self.subTest(limit):
                result = self.hearth("prewarm", "--json", "--max-errors", limit, "-", stdin=data)
                self.check(result, code)
                self.assertEqual((self.json(result)["loaded"], self.json(result)["rejected"]), (98, 2))

    def test_the_input_is_never_taken_for_the_rejects_file(self) -> None:
        file = self.folder / "input.jsonl"
        file.write_bytes(lines(GOOD))
        self.check(self.hearth("prewarm", "--rejects", str(file), str(file)), USAGE, "is the input itself")
        self.assertEqual(file.read_bytes(), lines(GOOD))

    def test_a_rejects_file_that_cannot_be_written(self) -> None:
        self.check(self.hearth("prewarm", "--rejects", str(self.folder / "no" / "file"), "-"), FAILURE, "cannot write")
        self.check(self.hearth("prewarm", "--max-errors", "1", "--rejects", "/dev/full", "-", stdin=b"bad\n"),
                   FAILURE, "not complete: No space left")

    def read(self, path: object) -> list[dict]:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def text_of(self, reject: dict) -> bytes:
        return base64.b64decode(reject["text_base64"]) if "text_base64" in reject else reject["text"].encode()
