// What an evidence bundle proves, offline: docs/spec/bundle.md. The steps are numbered there as here.

import { digest, utf8 } from "./bytes.mjs";
import { checkProofs } from "./log_audit.mjs";
import { refuse, Refused } from "./refused.mjs";
import { at, Report } from "./report.mjs";
import { rosterAt, verifyRoster } from "./roster.mjs";
import * as shapes from "./shapes.mjs";
import { canonical, parseStrict } from "./strict_json.mjs";
import { TicketAudit } from "./ticket_audit.mjs";
import { readToken } from "./tokens.mjs";

const MAX_BUNDLE = 32 << 20;

/** A bundle from its bytes, which can be spelled in one way only. */
export function readBundle(bytes) {
  if (bytes.length > MAX_BUNDLE) refuse("bundle", "The bundle is too large.");
  let value;
  try {
    value = parseStrict(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse("bundle", `The bundle cannot be read: ${error.message}`);
  }
  if (!shapes.bundle(value)) refuse("bundle", "This is no bundle of Counterfoil, or it has other members than one.");
  if (Buffer.compare(utf8(canonical(value)), bytes) !== 0) {
    refuse("bundle", "The bundle is not in its canonical form: it was changed after it was written.");
  }
  return value;
}

/** Verify everything; throws Refused("bundle") only for a file that is no bundle at all. */
export async function verifyBundle(bytes, trust) {
  const { contents, attestation: token } = readBundle(bytes);
  const report = new Report();
  // 1. Attestation
  const attestation = await report.check("attestation", "The authority's signature over this file", () =>
    checkAttestation(token, contents, trust),
  );
  if (attestation === undefined) {
    report.add("open", "attestation", "Nothing else was looked at: anybody could have written it.");
    return report;
  }
  report.add("holds", "attestation",
    `The authority ${trust.issuer} signed this file about ${attestation.ticket} on ${at(attestation.iat)}; nothing in it` +
      " was changed since.");
  // 2. Roster
  const roster = await report.check("roster", "The roster", () => verifyRoster(contents.roster, trust));
  if (roster === undefined) {
    report.add("open", "roster", "Without the roster, no signature can be anybody's.");
    return report;
  }
  report.add("holds", "roster",
    `The roster of ${roster.version} records is signed by its key without a gap, and is not older than version` +
      ` ${trust.rosterVersion}.`);
  // 3. to 9., of the access first
  const then = (moment) => rosterAt(moment, contents.roster, roster.times, trust);
  let access = null;
  if (contents.access !== null) {
    access = new TicketAudit(contents.access, then, trust, report, attestation.iat, "Of the access: ");
    await access.verify(null);
  }
  const ticket = new TicketAudit(contents.ticket, then, trust, report, attestation.iat, "");
  await ticket.verify(access);
  if (ticket.envelope !== null) {
    if (ticket.envelope.ticket !== attestation.ticket) {
      report.add("fails", "attestation", "The authority signed this file about another ticket.");
    }
    await checkRules(contents.policy, ticket.envelope.policy, report);
  }
  const told = [ticket, access].filter((each) => each?.told).flatMap((each) => each.told.leaves);
  await checkProofs(contents.proofs, told, trust, report);
  return report;
}

async function checkAttestation(token, contents, trust) {
  const [attestation] = await readToken(token, "cf-bundle+jwt", trust.authorityKeys);
  if (!shapes.attestation(attestation)) refuse("payload", "It has not the claims of an attestation.");
  if (attestation.iss !== trust.issuer) refuse("issuer", "It is by another authority.");
  if (attestation.bundle !== (await digest("counterfoil-bundle", canonical(contents)))) {
    refuse("bundle", "It is over something else: the file was changed.");
  }
  return attestation;
}

/** 10. Whether the rules in the bundle are those by which requirements were found. */
async function checkRules(policy, named, report) {
  if (policy === null) {
    report.add("open", "rules", "The rules of then are not in the bundle: they have been changed since.");
  } else if ((await digest("counterfoil-policy", canonical([policy.text, policy.schema_text]))) !== named) {
    report.add("fails", "rules", "The rules in the bundle are not those that the request names.");
  } else {
    report.add("holds", "rules", "The rules in the bundle are those by which it was decided who had to agree.");
  }
}
