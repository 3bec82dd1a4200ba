// What a person signed, and the passkey's assertion over it: docs/spec/statement.md.

import { b64, concat, digest, hash, same, saltedDigest, sha256, unb64, utf8, verifiesP256 } from "./bytes.mjs";
import { refuse, Refused } from "./refused.mjs";
import * as shapes from "./shapes.mjs";
import { isObject, parseCanonical, parseStrict } from "./strict_json.mjs";

const MAX_CLIENT_DATA = 2048;
const STATEMENT_LIFE = 600;
const HEADER = 37;
const FLAGS = { present: 0x01, verified: 0x04, backupEligible: 0x08, extensions: 0x80 };

export const envelopeDigest = (text) => digest("application/vnd.counterfoil.envelope.v1+json", text);

export function readEnvelope(text) {
  const envelope = parseCanonical(text, "The request");
  if (!shapes.envelope(envelope)) refuse("form", "The request has other members than an envelope.");
  return envelope;
}

/** The arguments of an envelope. */
export function readArguments(text) {
  try {
    const args = parseStrict(text);
    if (isObject(args)) return args;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return refuse("form", "It cannot be read.");
}

/** The role of a staff seat; null for the holder's. */
export const roleOf = (seat) => (seat.startsWith("staff:") ? seat.slice("staff:".length) : null);

export function readStatement(text) {
  const statement = parseCanonical(text, "The statement");
  if (!shapes.statement(statement)) refuse("form", "The statement has other members than a statement.");
  return statement;
}

export function readSettlement(text) {
  const settlement = parseCanonical(text, "The statement");
  if (!shapes.settlement(settlement)) refuse("form", "The statement has other members than a settlement.");
  return settlement;
}

/** The blob that an OpenSSH signature in this namespace signs: it is the challenge of the passkey. */
export async function challengeOf(namespace, text) {
  const parts = [utf8(`counterfoil-${namespace}@v1.counterfoil`), utf8(""), utf8("sha512")];
  parts.push(await hash("SHA-512", utf8(text)));
  return concat(utf8("SSHSIG"), ...parts.map((part) => concat(length(part), part)));
}

function length(part) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, part.length);
  return bytes;
}

/** One decision, verified completely. `displays` are the digests of what each seat had to be shown. */
export async function checkStatement({ statement: text, assertion }, { envelope, envelopeText, displays, roster, trust }) {
  const statement = readStatement(text);
  await checkAbout(statement, envelope, envelopeText);
  const { seat, decision } = statement;
  if (decision !== "decline" && decision !== (envelope.operation === "access" ? "grant" : "approve")) {
    refuse("decision", "The signature is for another kind of request.");
  }
  // The holder may always decline, also where it is not they who approve.
  const asked = seatsOf(envelope.requirements).has(seat) || (seat === "holder" && decision === "decline");
  if (!asked) refuse("seat", "Nobody is asked in this seat.");
  if (statement.display !== displays.get(seat)) refuse("display", "Something else was to be shown.");
  const [person, credential] = await checkSigner(statement, text, decision, assertion, { envelope, roster, trust });
  if (seat === "holder" && decision !== "decline" && statement.code !== null) {
    const code = await saltedDigest(unb64(envelope.salt), "counterfoil-match-code", statement.code);
    if (code !== envelope.code) refuse("code", "The code typed is not the one from the chat.");
  }
  return { statement, person, assurance: credential.backupEligible ? "passkey" : "passkey_bound" };
}

/** What a person established of an unknown outcome, verified completely. `decided`: who signed for it before. */
export async function checkSettlement({ statement: text, assertion }, given) {
  const { envelope, envelopeText, display, redeemedAt, decided, roster, trust } = given;
  const settlement = readSettlement(text);
  await checkAbout(settlement, envelope, envelopeText);
  if (settlement.display !== display) refuse("display", "Something else was to be shown.");
  if (settlement.iat < redeemedAt) refuse("time", "The signature's times are not possible.");
  const [person] = await checkSigner(settlement, text, "settle", assertion, { envelope, roster, trust });
  if (decided.includes(person.id)) refuse("person", "Whoever approved it cannot settle it.");
  return { settlement, person };
}

/** Whether it is about this very envelope, and its times are possible. */
async function checkAbout(statement, envelope, envelopeText) {
  if (statement.issuer !== envelope.issuer || statement.envelope !== (await envelopeDigest(envelopeText))) {
    refuse("envelope", "The signature is for another request.");
  }
  const { iat, exp } = statement;
  if (!(envelope.requested_at <= iat && iat < exp && exp <= iat + STATEMENT_LIFE)) {
    refuse("time", "The signature's times are not possible.");
  }
}

/** Whether the passkey of a person who is eligible for the seat signed it. */
async function checkSigner(statement, text, namespace, assertion, { envelope, roster, trust }) {
  const credential = roster.credentials.get(statement.credential);
  const person = credential && roster.people.get(credential.person);
  const good = credential && !credential.ended && !person.ended;
  if (!good || person.id !== statement.person || assertion.credential !== statement.credential) {
    refuse("credential", "The passkey is not one that this person may sign with.");
  }
  checkEligible(person, statement.seat, envelope, roster);
  await verifyAssertion(assertion, { challenge: await challengeOf(namespace, text), ...credential, trust });
  return [person, credential];
}

function checkEligible(person, seat, envelope, roster) {
  const role = roleOf(seat);
  const { account } = envelope;
  const holds = account !== null && person.accounts.includes(account);
  if (role === null) {
    if (!holds) refuse("eligible", "Only the holder of the account can decide this.");
    return;
  }
  if (!person.roles.includes(role)) refuse("eligible", `Only people with the role ${role} can decide this.`);
  if (holds || person.id === envelope.owner || person.id === envelope.actor) {
    refuse("eligible", "Somebody else has to decide: they stand behind the request themselves.");
  }
  const holders = [...roster.people.values()].filter((other) => !other.ended && other.accounts.includes(account));
  const theirs = new Set(holders.flatMap((other) => other.channels.map(folded)));
  if (person.channels.some((channel) => theirs.has(folded(channel)))) {
    refuse("eligible", "Somebody else has to decide: their messages go where the holder's go.");
  }
}

/** Full case folding, as far as addresses need it: what Unicode folds alike is alike here, and perhaps a little more. */
const folded = (channel) => [...channel].map((letter) => letter.toLowerCase().toUpperCase().toLowerCase()).join("");

function seatsOf(requirements) {
  const roles = requirements.flatMap((rung) => Object.keys(rung.staff).map((role) => `staff:${role}`));
  return new Set(requirements.some((rung) => rung.holder !== "none") ? ["holder", ...roles] : roles);
}

/** WebAuthn Level 3, section 7.2, from stored bytes alone. */
export async function verifyAssertion(assertion, { challenge, publicKey, backupEligible, trust }) {
  const [clientData, data, signature, client] = answer(assertion);
  if (!isObject(client) || client.type !== "webauthn.get") refuse("assertion", "The passkey's answer is no assertion.");
  if (client.challenge !== b64(challenge)) refuse("challenge", "The passkey signed something else.");
  if (!trust.origins.includes(client.origin)) refuse("origin", "The passkey was used on another site.");
  if (("crossOrigin" in client && client.crossOrigin !== false) || "topOrigin" in client) {
    refuse("cross_origin", "The passkey was used inside another site's frame.");
  }
  const flags = data[32];
  if (data.length < HEADER || (data.length > HEADER && !(flags & FLAGS.extensions))) {
    refuse("assertion", "The passkey's answer has a wrong length.");
  }
  if (!same(data.subarray(0, 32), await sha256(utf8(trust.party)))) refuse("party", "The passkey belongs to another site.");
  if (!(flags & FLAGS.present)) refuse("user_present", "Nobody was present at the passkey.");
  if (!(flags & FLAGS.verified)) refuse("user_verified", "The passkey did not verify its user.");
  if (Boolean(flags & FLAGS.backupEligible) !== backupEligible) {
    refuse("backup", "The passkey is not of the kind that was enrolled.");
  }
  if (!(await verifiesP256(publicKey, signature, concat(data, await sha256(clientData))))) {
    refuse("signature", "The passkey's signature is not valid.");
  }
}

function answer(assertion) {
  try {
    const clientData = unb64(assertion.client_data);
    if (clientData.length > MAX_CLIENT_DATA) refuse("assertion", "The browser's part is too long.");
    const [data, signature] = [assertion.authenticator_data, assertion.signature].map(unb64);
    return [clientData, data, signature, parseStrict(clientData)];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse("assertion", "The passkey's answer cannot be read.");
  }
}
