// What records look like: exactly these members, each of exactly this type. docs/spec names them in words.

import { isObject } from "./strict_json.mjs";

export const text = (value) => typeof value === "string";
export const integer = (value) => Number.isSafeInteger(value);
export const flag = (value) => typeof value === "boolean";
export const anything = () => true;
export const nullOr = (shape) => (value) => value === null || shape(value);
export const oneOf = (...values) => (value) => values.includes(value);
export const listOf = (shape, least = 0, most = Infinity) => (value) =>
  Array.isArray(value) && value.length >= least && value.length <= most && value.every(shape);
export const tableOf = (shape) => (value) => isObject(value) && Object.values(value).every(shape);
const atLeast = (least) => (value) => integer(value) && value >= least;

/** An object with exactly these members, and perhaps the optional ones. */
export function closed(members, optional = {}) {
  const all = { ...members, ...optional };
  return (value) =>
    isObject(value) &&
    Object.keys(members).every((name) => Object.hasOwn(value, name)) &&
    Object.entries(value).every(([name, item]) => Object.hasOwn(all, name) && all[name](item));
}

export const rung = closed({
  holder: oneOf("none", "link", "passkey", "passkey_bound"),
  staff: tableOf(atLeast(1)),
  code: flag,
  hold: atLeast(0),
});

/** By operation, the least evidence with which an executor runs it, as alternatives. */
export const floors = tableOf(listOf(rung));

export const envelope = closed({
  v: oneOf(1), issuer: text, tenant: text, ticket: text, operation: text, arguments: text, account: nullOr(text),
  principal: text, owner: nullOr(text), actor: nullOr(text), conversation: nullOr(text), grant: nullOr(text),
  delivery: oneOf("direct", "collected"), executor: text, facts: nullOr(text), requirements: listOf(rung),
  policy: text, tool: text, code: text, signals: closed({ tainted: flag }), note: nullOr(text), undoes: nullOr(text),
  requested_at: integer, expires_at: integer, salt: text,
});

const signable = {
  v: oneOf(1), issuer: text, envelope: text, display: text, seat: text, person: text, credential: text, nonce: text,
  iat: integer, exp: integer,
};
export const statement = closed({
  ...signable, decision: oneOf("approve", "decline", "grant"), code: nullOr(text),
});
export const settlement = closed({
  ...signable, found: oneOf("executed", "not_executed"),
  reference: (value) => text(value) && [...value].length <= 200,
});

export const assertion = closed({ credential: text, authenticator_data: text, client_data: text, signature: text });

export const capability = closed({
  iss: text, aud: text, sub: text, jti: text, ticket: text, envelope: text, iat: integer, exp: integer,
});
export const order = closed({
  iss: text, aud: text, jti: text, ticket: text, envelope: text, redeemed_at: integer, run_by: integer,
});
export const attestation = closed({ iss: text, ticket: text, bundle: text, iat: integer });

const record = { v: oneOf(1), version: integer, previous: text, iat: integer };
export const invitation = closed({
  ...record, type: oneOf("invitation"), person: text, name: text, accounts: listOf(text), roles: listOf(text),
  channels: listOf(text), secret_key: text, exp: integer,
});
export const end = closed({
  ...record, type: oneOf("end"), what: oneOf("person", "credential", "delegate"), id: text,
});
export const delegation = closed({
  ...record, type: oneOf("delegation"), name: text, x: text, y: text, roles: listOf(text), exp: integer,
});
export const signedEnrolment = closed({
  enrolment: closed({
    v: oneOf(1), invitation: text, person: text, credential: text, public_key: text, backup_eligible: flag,
    party: text, iat: integer,
  }),
  secret_signature: text,
  assertion,
});

export const leafBody = closed({
  v: oneOf(1), n: integer, at: integer, event: text, ticket: nullOr(text), groups: tableOf(text),
});
export const leafOpening = closed({ groups: tableOf(anything), salt: text });

const bundledLeaf = closed({ body: text, opening: nullOr(text) });
export const feedPage = closed({
  format: oneOf("counterfoil-feed"), v: oneOf(1), first: atLeast(0), leaves: listOf(bundledLeaf, 0, 1000),
  consistency: listOf(text, 0, 128), checkpoint: text, statement: text,
});
export const feedStatement = closed({ iss: text, checkpoint: text, iat: integer });

const signed = closed({ statement: text, assertion });
const STATES = [
  "pending", "approved", "held", "executing", "executed", "not_executed", "unknown", "declined", "cancelled",
  "expired", "revoked",
];
const displays = listOf(closed({ seat: text, content: text }), 0, 100);
const evidence = closed({
  envelope: text, statements: listOf(signed, 0, 100), settlement: nullOr(signed),
  displays,
  capability: nullOr(text), order: nullOr(text),
  leaves: listOf(bundledLeaf, 0, 10_000),
  state: oneOf(...STATES), outcome: nullOr(text),
});
const roster = closed({ records: listOf(text), enrolments: listOf(text, 0, 202) });
export const presented = closed({
  format: oneOf("counterfoil-order"), v: oneOf(1), order: text, envelope: text,
  statements: listOf(signed, 0, 100), displays, roster,
});
export const bundle = closed({
  format: oneOf("counterfoil-bundle"), v: oneOf(1), attestation: text,
  contents: closed({
    ticket: evidence, access: nullOr(evidence),
    roster,
    policy: nullOr(closed({ text, schema_text: text })),
    proofs: listOf(closed({ leaf: integer, proof: text }), 0, 10_000),
  }),
});

const keys = listOf(tableOf(text), 1, 100);
const trustMembers = {
  format: oneOf("counterfoil-trust"), v: oneOf(1), issuer: text, executors: listOf(text, 1, 100),
  party: text, origins: listOf(text, 1, 100), roster_keys: keys, roster_version: atLeast(0), authority_keys: keys,
  log_key: nullOr(text),
};
const stopped = tableOf(closed({ version: atLeast(0), digest: text }));
export const trust = closed(trustMembers, {
  witnesses: listOf(text, 0, 16), quorum: atLeast(0),
  former_log_keys: listOf(closed({ key: text, size: atLeast(0) }), 0, 100),
  replaced: (value) => stopped(value) && Object.keys(value).length <= 100,
});
