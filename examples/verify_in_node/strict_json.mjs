// Strict JSON in, canonical bytes (RFC 8785) out: docs/spec/common.md.
//
// JSON.parse keeps the last of two equal keys and rounds large numbers, so that one text can have two meanings. Here
// it has one, or is refused.

import { refuse } from "./refused.mjs";

const MAX_DEPTH = 32;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const BLANK = /[ \t\n\r]*/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** A number that was written with a point or an exponent, but is whole: `1.0` is no integer, though it equals one. */
class WholeFloat {
  constructor(value) {
    this.value = value;
  }
}

/** The value of UTF-8 bytes (or of a string); objects have no prototype. Throws Refused("json"). */
export function parseStrict(given) {
  return new Parser(typeof given === "string" ? given : decoded(given)).document();
}

/** The canonical text of a value that came from parseStrict. */
export function canonical(value) {
  if (value instanceof WholeFloat) return JSON.stringify(value.value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  // Array.sort compares UTF-16 code units, as RFC 8785 wants it; numbers and strings are those of ECMAScript.
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(",")}}`;
}

/** The value of a text that is canonical JSON and nothing else. */
export function parseCanonical(text, what) {
  let value;
  try {
    value = parseStrict(text);
  } catch {
    refuse("form", `${what} cannot be read.`);
  }
  if (canonical(value) !== text) refuse("form", `${what} is not in its canonical form.`);
  return value;
}

export const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof WholeFloat);

function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    refuse("json", "It is not UTF-8.");
  }
}

class Parser {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  document() {
    const value = this.value(1);
    if (this.at !== this.text.length) this.wrong("something follows the value");
    return value;
  }

  wrong(why) {
    refuse("json", `It is not strict JSON: ${why}, at character ${this.at}.`);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  /** Whether the next character is this one; then it is passed over, with the blanks around it. */
  takes(character) {
    this.match(BLANK);
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    this.match(BLANK);
    return true;
  }

  value(depth) {
    this.match(BLANK);
    const found = this.bare(depth);
    this.match(BLANK);
    return found;
  }

  bare(depth) {
    const first = this.text[this.at];
    if ((first === "{" || first === "[") && depth > MAX_DEPTH) this.wrong("it is nested too deeply");
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    if (first === '"') return this.string();
    for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  object(depth) {
    const value = Object.create(null);
    this.takes("{");
    if (this.takes("}")) return value;
    do {
      if (this.text[this.at] !== '"') this.wrong("a key is missing");
      const key = this.string();
      if (key in value) this.wrong("a key stands twice in one object");
      if (!this.takes(":")) this.wrong("a colon is missing");
      value[key] = this.value(depth + 1);
    } while (this.takes(","));
    if (!this.takes("}")) this.wrong("an object does not end");
    return value;
  }

  array(depth) {
    const value = [];
    this.takes("[");
    if (this.takes("]")) return value;
    do value.push(this.value(depth + 1));
    while (this.takes(","));
    if (!this.takes("]")) this.wrong("a list does not end");
    return value;
  }

  string() {
    const parts = [];
    this.at += 1;
    for (;;) {
      parts.push(this.match(PLAIN)[0]);
      const next = this.text[this.at];
      this.at += 1;
      if (next === '"') break;
      if (next !== "\\") this.wrong("a string does not end, or holds a control character");
      parts.push(this.escape());
    }
    const text = parts.join("");
    if (!text.isWellFormed()) this.wrong("a string holds half of a surrogate pair");
    return text;
  }

  escape() {
    const letter = this.text[this.at];
    this.at += 1;
    if (letter !== "u") return ESCAPES[letter] ?? this.wrong("an escape is unknown");
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.wrong("an escape has not four digits");
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  number() {
    const found = this.match(NUMBER);
    if (found === null) this.wrong("a value is missing");
    const value = Number(found[0]);
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) this.wrong("a number is beyond 2^53 - 1");
    const whole = Number.isInteger(value);
    if (found[1] === undefined && found[2] === undefined) return value === 0 ? 0 : value;
    return whole ? new WholeFloat(value) : value;
  }
}
