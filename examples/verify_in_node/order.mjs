// What an executor verifies before it runs anything: docs/spec/order.md.

import { refuse, Refused } from "./refused.mjs";
import { checkStatement, envelopeDigest, readEnvelope, roleOf } from "./statements.mjs";
import { readOrder } from "./tokens.mjs";

export const MAX_RUN = 3600;
const GRANT_LIFE = 900;
const ASSURANCES = ["none", "link", "passkey", "passkey_bound"];

/** The order, and that the envelope is the one that it is for. `now` is when it would be run. */
export async function verifyOrder(order, envelopeText, { trust, executor, now }) {
  const { issuer } = trust;
  const claims = await readOrder(order, trust.authorityKeys, { issuer, executor });
  if ((await envelopeDigest(envelopeText)) !== claims.envelope) {
    refuse("envelope", "The stored request is not the one that the order is for.");
  }
  const envelope = readEnvelope(envelopeText);
  if (envelope.ticket !== claims.ticket || envelope.issuer !== issuer || envelope.executor !== executor) {
    refuse("ticket", "The order and the stored request name different tickets.");
  }
  if (!(envelope.requested_at <= claims.redeemed_at && claims.redeemed_at < envelope.expires_at)) {
    refuse("lifetime", "The ticket was redeemed outside its lifetime.");
  }
  if (claims.redeemed_at > now || claims.run_by > claims.redeemed_at + MAX_RUN) {
    refuse("time", "The order's times are not possible.");
  }
  if (now > claims.run_by) refuse("late", "The order came too late to be run.");
  return { claims, envelope };
}

/** That these statements let the envelope be run when it was redeemed. `grant`: what an unattended one rests on. */
export async function verifyEvidence(statements, redeemedAt, { grant = null, ...given }) {
  const { envelope } = given;
  const evidence = await evidenceOf(statements, given);
  if (evidence.completeAt > redeemedAt) refuse("time", "A signature was made after the ticket was redeemed.");
  if (envelope.grant !== null) {
    if (grant === null || !covers(grant, envelope)) refuse("grant", "The grant that the request names is not for it.");
    return { reached: { holder: "none", staff: {}, code: false, hold: 0 }, people: grant.people, completeAt: 0 };
  }
  const reached = withWait(evidence, redeemedAt);
  if (!met(envelope.requirements, reached)) {
    refuse("requirements", "The signatures do not meet what the request requires.");
  }
  return { ...evidence, reached };
}

/** All statements of a ticket, verified and added up. */
export async function evidenceOf(statements, given) {
  const reached = { holder: "none", staff: {}, code: false, hold: 0 };
  const people = [];
  let completeAt = 0;
  for (const signed of statements) {
    const { statement, person, assurance } = await inWords(() => checkStatement(signed, given));
    if (statement.decision === "decline") refuse("declined", "Somebody declined.");
    if (people.includes(person.id)) refuse("person", "One person cannot fill two seats.");
    people.push(person.id);
    completeAt = Math.max(completeAt, statement.iat);
    const role = roleOf(statement.seat);
    if (role !== null) {
      reached.staff[role] = (Object.hasOwn(reached.staff, role) ? reached.staff[role] : 0) + 1;
    } else {
      reached.holder = assurance;
      // Whoever is known to sit at the keyboard of that very chat need not type its code across.
      reached.code = statement.code !== null || person.id === given.envelope.actor;
    }
  }
  return { reached, people, completeAt };
}

/** The grant that an access is, redeemed then, with its verified evidence. */
export function grantOf(envelope, evidence, redeemedAt) {
  const { operation, account, conversation, principal, ticket } = envelope;
  const enough = met(envelope.requirements, withWait(evidence, redeemedAt));
  if (operation !== "access" || account === null || conversation === null || !enough || redeemedAt < evidence.completeAt) {
    refuse("grant", "It granted nothing.");
  }
  const ends = evidence.completeAt + GRANT_LIFE;
  return { ticket, account, principal, conversation, people: evidence.people, begins: redeemedAt, ends };
}

export const holds = (grant, at) => grant.begins <= at && at < grant.ends;

const covers = (grant, { grant: named, account, principal, conversation }) =>
  grant.ticket === named &&
  grant.account === account &&
  grant.principal === principal &&
  grant.conversation === conversation;

const withWait = ({ reached, people, completeAt }, now) => ({
  ...reached,
  hold: people.length > 0 ? Math.max(0, now - completeAt) : 0,
});

/** Whether some alternative that asks for something is reached. */
export const met = (requirements, reached) => requirements.some((rung) => !isEmpty(rung) && reaches(reached, rung));

export const metButForTime = (requirements, reached) => met(requirements, { ...reached, hold: Infinity });

const isEmpty = (rung) =>
  rung.holder === "none" && Object.keys(rung.staff).length === 0 && !rung.code && rung.hold === 0;

const reaches = (reached, rung) =>
  ASSURANCES.indexOf(reached.holder) >= ASSURANCES.indexOf(rung.holder) &&
  Object.entries(rung.staff).every(([role, count]) => Object.hasOwn(reached.staff, role) && reached.staff[role] >= count) &&
  (reached.code || !rung.code) &&
  reached.hold >= rung.hold;

async function inWords(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(error.reason, `A signature does not hold. ${error.message}`);
  }
}
