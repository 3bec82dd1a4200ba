// What an executor outside verifies of a presented order, by itself: docs/spec/outside-executor.md.

import { digest } from "./bytes.mjs";
import { FEED_LIFE } from "./feed.mjs";
import { met, verifyEvidence, verifyOrder } from "./order.mjs";
import { checkPage, readPage } from "./pages.mjs";
import { refuse, Refused } from "./refused.mjs";
import { recordDigest, verifyRoster } from "./roster.mjs";
import * as shapes from "./shapes.mjs";
import { readArguments } from "./statements.mjs";
import { parseStrict } from "./strict_json.mjs";

const MAX_PRESENTED = 32 << 20;

/**
 * Everything that must hold before the effect, but for the ledger. `memory`: what was heard, a Feed of feed.mjs or
 * its fields. `floors`: by operation, the least evidence, as alternatives. `now`: the executor's own clock.
 */
export async function verifyPresented(bytes, { trust, executor, floors, memory, now }) {
  const presented = readPresented(bytes);
  const { heardAt } = memory;
  if (heardAt === null || Math.abs(now - heardAt) > FEED_LIFE) {
    refuse("feed", "What the authority revoked or declined lately was not heard.");
  }
  const authorityKeys = new Map([...trust.authorityKeys].filter(([id]) => !memory.barred.has(`key:${id}`)));
  const given = { trust: { ...trust, authorityKeys }, executor, now: Math.max(now, heardAt) };
  const { claims, envelope } = await verifyOrder(presented.order, presented.envelope, given);
  if (memory.stopped.has(envelope.ticket)) refuse("stopped", "The ticket was stopped, or it was told that nothing was done.");
  const [named, redeemedAt] = memory.redeemed.get(envelope.ticket) ?? [];
  if (named !== claims.envelope || redeemedAt !== claims.redeemed_at) {
    refuse("redemption", "The log does not tell of this redemption, or at another time.");
  }
  if (envelope.grant !== null) refuse("grant", "Nobody signed for this request itself; such orders are not run here.");
  const roster = await verifyRoster(presented.roster, trust);
  if (roster.version < memory.rosterRecords) refuse("version", "The roster lacks records that the log tells of.");
  if (memory.rosterRecords > 0) {
    const last = await recordDigest(presented.roster.records[memory.rosterRecords - 1]);
    if (last !== memory.rosterHead) refuse("version", "A record of the roster is not the one that the log tells of.");
  }
  checkEnrolled(roster, memory.enrolled);
  const displays = await shown(presented.displays, envelope);
  const about = { envelope, envelopeText: presented.envelope, displays, roster, trust };
  const proven = await verifyEvidence(presented.statements, claims.redeemed_at, about);
  if (scopesOf(envelope, proven.people).some((scope) => memory.barred.has(scope))) {
    refuse("barred", "Something that the request depends on is suspended or revoked.");
  }
  const floor = Object.hasOwn(floors, envelope.operation) ? floors[envelope.operation] : [];
  if (!met(floor, proven.reached)) refuse("floor", "This executor does not run it, or asks for more than people signed.");
  return { claims, envelope, ...proven };
}

/** Whoever knows an invitation's secret can sign another enrolment for it: the first that the log tells of counts. */
function checkEnrolled({ people, credentials }, enrolled) {
  for (const { id, person, ended, invitation, enrolment } of credentials.values()) {
    if (ended || people.get(person).ended || enrolled.get(invitation) === enrolment) continue;
    if (!enrolled.has(invitation) && enrolled.has(`credential:${id}`)) continue;
    refuse("enrolled", `The passkey ${id} is not the one that the log tells was enrolled first with its invitation.`);
  }
}

function readPresented(bytes) {
  let presented = null;
  try {
    if (bytes.length <= MAX_PRESENTED) presented = parseStrict(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return shapes.presented(presented) ? presented : refuse("form", "This is no order with its evidence.");
}

/** The digests of the pages that came with it, each about this very request. */
async function shown(displays, envelope) {
  const found = new Map();
  const args = readArguments(envelope.arguments);
  for (const { seat, content } of displays) {
    try {
      checkPage(readPage(content), envelope, args, seat);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refuse("page", `What was shown does not fit the request. ${error.message}`);
    }
    found.set(seat, await digest("counterfoil-display", content));
  }
  return found;
}

/** Everything by which the request could be suspended or revoked. */
function scopesOf({ ticket, operation, principal, account, actor, conversation }, people) {
  const scopes = ["everything", `ticket:${ticket}`, `operation:${operation}`, `principal:${principal}`];
  if (account !== null) scopes.push(`account:${account}`, `principal-account:${principal}|${account}`);
  if (actor !== null) scopes.push(`person:${actor}`);
  if (conversation !== null) scopes.push(`conversation:${conversation}`);
  return [...scopes, ...people.map((person) => `person:${person}`)];
}
