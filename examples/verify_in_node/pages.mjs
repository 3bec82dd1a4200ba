// Whether what a page showed is about the request: docs/spec/page.md.

import { refuse } from "./refused.mjs";
import { roleOf } from "./statements.mjs";
import { canonical, isObject, parseCanonical } from "./strict_json.mjs";

const MARKS = 4;
const HIDDEN = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cn}\\p{Cs}\\p{Zl}\\p{Zp}\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164" +
    "\\ufe00-\\ufe0f\\uffa0\\u{e0100}-\\u{e01ef}]",
  "u",
);
const MARK = /[\p{Mn}\p{Me}]/u;
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

export function readPage(text) {
  const page = parseCanonical(text, "It");
  if (!isObject(page)) refuse("form", "It cannot be read.");
  return page;
}

/** Refused where the page said something else of the request than its envelope, as far as that can be compared. */
export function checkPage(page, envelope, args, seat) {
  for (const [name, value] of Object.entries(aboutRequest(envelope, seat))) {
    if (!(name in page) || loosely(canonical(page[name])) !== loosely(canonical(value))) {
      refuse("page", `The page said something else than the request: ${name}.`);
    }
  }
  const lines = (Array.isArray(page.arguments) ? page.arguments : []).filter(isObject);
  const told = new Set(lines.map(({ label, value }) => loosely(`${label}\n${value}`)));
  const missing = Object.entries(args).filter(([name, value]) => !told.has(loosely(`${labelOf(name)}\n${inWords(value)}`)));
  // The account has a line of its own instead, and which argument names it is the desk's word.
  if (missing.length > 1 || missing.some(([, value]) => typeof value !== "string")) {
    refuse("page", `The page did not show what was asked for: ${missing.map(([name]) => name).join(", ")}.`);
  }
}

function aboutRequest(envelope, seat) {
  return {
    seat,
    account: visible(envelope.account || "unknown"),
    requested_by: visible(envelope.principal),
    said: envelope.note ? visible(envelope.note) : null,
    tainted: envelope.signals.tainted,
    requirements: envelope.requirements.map(rungInWords),
    requested_at: envelope.requested_at,
    expires_at: envelope.expires_at,
    waits: Math.max(0, ...envelope.requirements.map((rung) => rung.hold)),
  };
}

/** The text with every character that could hide or reorder others spelled out. */
function visible(text) {
  let marks = 0;
  return [...text.normalize("NFC")].map((character) => {
    marks = MARK.test(character) ? marks + 1 : 0;
    return marks > MARKS || HIDDEN.test(character) ? spelled(character) : character;
  }).join("");
}

const spelled = (character) => `\\u{${character.codePointAt(0).toString(16).toUpperCase()}}`;

/** The desk's Unicode may be older and spell out letters that ours knows: spelled out or not, they compare as one. */
const loosely = (text) =>
  text.replace(/\\{1,2}u\{([0-9A-F]{1,6})\}/g, (whole, digits) => {
    const point = parseInt(digits, 16);
    const character = point <= 0x10ffff ? String.fromCodePoint(point) : "";
    return character === "" || point < 0x80 || HIDDEN.test(character) ? whole : character;
  });

const labelOf = (name) => {
  const words = name.replaceAll("_", " ").toLowerCase();
  return words.slice(0, 1).toUpperCase() + words.slice(1);
};

function inWords(value) {
  if (value === true) return "yes";
  if (value === false) return "no";
  if (value === null) return "not given";
  if (Array.isArray(value)) return value.map((each) => quoted(inWords(each))).join(", ") || "none";
  if (typeof value === "number") return numberInWords(value);
  if (typeof value === "string") return visible(value);
  if (!isObject(value)) return canonical(value);
  const { value: amount, currency } = value;
  if (typeof amount === "string" && typeof currency === "string") return `${amount} ${currency}`;
  return refuse("page", "An argument is of a kind that no desk declares.");
}

/** As Python writes it: with an exponent below 0.0001, and two digits in that. */
function numberInWords(value) {
  if (value === 0 || Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-([0-9])$/, "e-0$1");
}

/** An item of a list, in quotes where it could be taken for several, for none, or for quotes of ours. */
function quoted(text) {
  if (text.trim() !== "" && text !== "none" && !/[,“”]/.test(text)) return text;
  return `“${text.replaceAll("“", "\\u{201C}").replaceAll("”", "\\u{201D}")}”`;
}

export function rungInWords({ holder, staff, code, hold }) {
  const parts = [];
  if (holder === "link") parts.push("the account holder confirms with a code sent to them");
  else if (holder !== "none") {
    parts.push(`the account holder confirms with their passkey${code ? " and the code from the chat" : ""}`);
  }
  for (const role of Object.keys(staff).sort()) {
    const one = staff[role] === 1;
    parts.push(`${staff[role]} ${one ? "person" : "people"} with the role ${role} approve${one ? "s" : ""}`);
  }
  if (hold > 0) parts.push(`a waiting time of ${duration(hold)} passes without objection`);
  return parts.join(", and ");
}

function duration(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size && seconds % size === 0) ?? ["second", 1];
  return `${seconds / size} ${unit}${seconds / size === 1 ? "" : "s"}`;
}

export const seatInWords = (seat) => (seat === "holder" ? "as the holder of the account" : `with the role ${roleOf(seat)}`);
