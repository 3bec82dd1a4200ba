// Who people are, what they hold, and with which passkeys they sign: docs/spec/roster.md.

import { digest, preAuth, unb64, verifiesEd25519 } from "./bytes.mjs";
import { Delegates } from "./delegates.mjs";
import { refuse, Refused } from "./refused.mjs";
import * as shapes from "./shapes.mjs";
import { challengeOf, verifyAssertion } from "./statements.mjs";
import { canonical, parseCanonical } from "./strict_json.mjs";
import { readToken } from "./tokens.mjs";

export const recordDigest = (text) => digest("counterfoil-roster-record", text);

/** Every link of every chain. `people` and `credentials` are by id; `version` is the number of records. */
export async function verifyRoster({ records, enrolments }, trust) {
  const [people, invitations, ended, times] = [new Map(), new Map(), new Set(), []];
  const delegates = new Delegates();
  let [head, latest] = [await recordDigest(""), 0];
  for (const [place, text] of records.entries()) {
    const record = await readRecord(text, place + 1, head, trust, delegates, latest);
    [head, latest] = [await recordDigest(text), Math.max(latest, record.iat)];
    checkPinned(place + 1, head, trust);
    times.push(record.iat);
    if (record.type === "delegation") {
      await delegates.add(record);
    } else if (record.type === "end") {
      ended.add(`${record.what} ${record.id}`);
      if (record.what === "delegate") delegates.ended.add(record.id);
    } else {
      const { person: id, name, accounts, roles, channels } = record;
      invitations.set(head, record);
      people.set(id, { id, name, accounts, roles, channels });
    }
  }
  const least = Math.max(trust.rosterVersion, ...[...trust.replaced.values()].map(({ version }) => version));
  if (records.length < least) {
    refuse("version", `The roster has ${records.length} records; at least ${least} were seen before.`);
  }
  for (const person of people.values()) person.ended = ended.has(`person ${person.id}`);
  const credentials = new Map();
  const spent = new Set();
  for (const text of enrolments) {
    const signed = readEnrolment(text);
    const { enrolment } = signed;
    const invitation = invitations.get(enrolment.invitation);
    if (invitation === undefined || spent.has(enrolment.invitation) || credentials.has(enrolment.credential)) {
      refuse("invitation", `The enrolment of a passkey of ${enrolment.person} has no invitation of its own.`);
    }
    await verifyEnrolment(signed, invitation, trust);
    spent.add(enrolment.invitation);
    credentials.set(enrolment.credential, {
      id: enrolment.credential,
      person: enrolment.person,
      publicKey: unb64(enrolment.public_key),
      backupEligible: enrolment.backup_eligible,
      ended: ended.has(`credential ${enrolment.credential}`),
      invitation: enrolment.invitation,
      enrolment: await digest("counterfoil-signed-enrolment", text),
    });
  }
  return { version: records.length, people, credentials, times };
}

/** The roster as it was: nothing of it was signed after `moment`. */
export async function rosterAt(moment, { records, enrolments }, times, trust) {
  const later = times.findIndex((signedAt) => signedAt > moment);
  const then = {
    records: later === -1 ? records : records.slice(0, later),
    enrolments: enrolments.filter((text) => readEnrolment(text).enrolment.iat <= moment),
  };
  return verifyRoster(then, { ...trust, rosterVersion: 0, replaced: new Map() }); // the whole was held against both
}

async function readRecord(text, number, head, trust, delegates, before) {
  let record;
  let signer;
  try {
    const keys = new Map([...delegates.keys, ...trust.rosterKeys]);
    [record, signer] = await readToken(text, "cf-roster+jwt", keys);
    const known = shapes.invitation(record) || shapes.end(record) || shapes.delegation(record);
    if (!known) refuse("payload", "It is neither an invitation, nor an end, nor a delegation.");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(error.reason, `Record ${number} of the roster is not signed by the roster key: ${error.message}`);
  }
  if (number > (trust.replaced.get(signer)?.version ?? Infinity)) {
    refuse("replaced", `Record ${number} of the roster is signed by a roster key that was replaced before it.`);
  }
  if (record.version !== number || record.previous !== head) {
    refuse("chain", `Record ${number} of the roster does not follow the one before it.`);
  }
  const delegate = trust.rosterKeys.has(signer) ? "" : signer;
  if (delegate !== "") delegates.check(delegate, record, before);
  if (record.type === "invitation") delegates.invited(delegate, record);
  return record;
}

/** Whoever has a key that was replaced could sign another history, as long as the one that it ended with. */
function checkPinned(number, head, trust) {
  for (const { version, digest } of trust.replaced.values()) {
    if (version === number && digest !== head) {
      refuse("replaced", `Record ${number} of the roster is not the one at which a roster key was replaced.`);
    }
  }
}

function readEnrolment(text) {
  const signed = parseCanonical(text, "An enrolment in the roster");
  if (!shapes.signedEnrolment(signed)) refuse("form", "An enrolment in the roster has other members than it can have.");
  return signed;
}

async function verifyEnrolment({ enrolment, secret_signature: signature, assertion }, invitation, trust) {
  const { person, iat, party } = enrolment;
  if (person !== invitation.person || iat < invitation.iat || iat > invitation.exp) {
    refuse("enrolment", "An enrolment does not fit its invitation.");
  }
  if (party !== trust.party) refuse("party", `A passkey was enrolled for ${party}, but not for ${trust.party}.`);
  const text = canonical(enrolment);
  try {
    const message = preAuth("counterfoil-enrolment", text);
    if (!(await verifiesEd25519(unb64(invitation.secret_key), unb64(signature), message))) {
      refuse("secret", "The invitation's secret did not sign it.");
    }
    if (assertion.credential !== enrolment.credential) refuse("credential", "Another credential signed it.");
    const [challenge, publicKey] = [await challengeOf("enrol", text), unb64(enrolment.public_key)];
    await verifyAssertion(assertion, { challenge, publicKey, backupEligible: enrolment.backup_eligible, trust });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(error.reason, `The enrolment of a passkey of ${person} is not properly signed: ${error.message}`);
  }
}
