// The capability and the order of a redeemed ticket, signed anew for whoever audits, and of no use to them: step 8 of
// docs/spec/bundle.md.

import { says } from "./leaves.mjs";
import { MAX_RUN } from "./order.mjs";
import { refuse } from "./refused.mjs";
import { at } from "./report.mjs";
import { envelopeDigest } from "./statements.mjs";
import { readCapability, readOrder } from "./tokens.mjs";

const OVER = 120;
const ANEW = "the authority signed it anew for this file";

/** Both, one after the other; `audit` is the TicketAudit of their ticket. */
export async function auditTokens(audit) {
  for (const [name, check] of [["capability", checkCapability], ["order", checkOrder]]) {
    const isThere = audit.part[name] !== null;
    const says = await audit.check(name, `the ${name}`, () => (isThere ? check(audit) : lacks(name, audit)));
    if (says === undefined || says === null) continue;
    if (isThere) audit.hold(name, says);
    else audit.open(name, says);
  }
}

/** The line where it is not there; null where there can be none. */
function lacks(name, { told: { redeemed }, handedOut }) {
  if (redeemed === null) return null;
  if (name === "capability" && redeemed.values === null) {
    return "the capability is not in the bundle: which one it was cannot be read.";
  }
  if (handedOut > redeemed.at + MAX_RUN + OVER) refuse("lacking", "It is not in the bundle, though its time is over.");
  return `the ${name} is not in the bundle: its time may not have been over when this file was handed out.`;
}

async function checkCapability(audit) {
  const { part, envelope, told, trust } = audit;
  const redeemed = redemption(told);
  const claims = await readCapability(part.capability, trust.authorityKeys, { issuer: trust.issuer, now: redeemed.at });
  await checkAbout(claims, audit);
  if (claims.sub !== envelope.principal) refuse("principal", "It is for somebody else.");
  const names = (leaf) => leaf.values === null || says(leaf, { capability: claims.jti });
  const minted = told.leaves.some((leaf) => leaf.event === "mint" && leaf.index < redeemed.index && names(leaf));
  if (!minted || !names(redeemed)) refuse("mint", "It is not the one that was minted and redeemed.");
  checkOver(claims.exp, audit);
  return `the capability that was redeemed was for ${claims.sub}, from ${at(claims.iat)} to ${at(claims.exp)}; ${ANEW}.`;
}

async function checkOrder(audit) {
  const { part, envelope, told, trust } = audit;
  const redeemed = redemption(told);
  const { issuer, executor } = envelope;
  const claims = await readOrder(part.order, trust.authorityKeys, { issuer, executor });
  await checkAbout(claims, audit);
  const { ticket, jti, redeemed_at: redeemedAt, run_by: runBy } = claims;
  if (jti !== `order-${ticket}` || redeemedAt !== redeemed.at) refuse("redemption", "It is of another redemption.");
  if (!(redeemedAt <= runBy && runBy <= redeemedAt + MAX_RUN)) refuse("time", "Its times are not possible.");
  checkOver(runBy, audit);
  return `the order told ${executor} to run it, from ${at(redeemedAt)} to ${at(runBy)}; ${ANEW}.`;
}

const redemption = ({ redeemed }) => redeemed ?? refuse("redemption", "The ticket was not redeemed: there can be none.");

async function checkAbout({ ticket, envelope: named }, { part, envelope }) {
  if (ticket !== envelope.ticket || named !== (await envelopeDigest(part.envelope))) {
    refuse("envelope", "It is for another request.");
  }
}

function checkOver(end, { handedOut }) {
  if (handedOut <= end + OVER) refuse("time", "It could still be used when this file was handed out.");
}
