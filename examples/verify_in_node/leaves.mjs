// The leaves of one ticket, read without the key of the chain: docs/spec/leaf.md.

import { hmac, saltedDigest, unb64, utf8 } from "./bytes.mjs";
import { refuse } from "./refused.mjs";
import * as shapes from "./shapes.mjs";
import { canonical, parseCanonical } from "./strict_json.mjs";

const STOPS = { decline: "declined", cancel: "cancelled", expire: "expired", revoke: "revoked" };
const LIFE = {
  pending: { approve: "approved", ...STOPS },
  approved: { hold: "held", redeem: "executing", ...STOPS },
  held: { redeem: "executing", ...STOPS },
  executing: { report_executed: "executed", report_not_executed: "not_executed", report_unknown: "unknown" },
  unknown: { find_executed: "executed", find_not_executed: "not_executed" },
};
const STEPS = new Set(Object.values(LIFE).flatMap(Object.keys));
const EVENTS = new Set([...STEPS, "request", "statement", "mint"]);

/** One leaf of the ticket. `values` are what was opened, null where the opening was deleted. */
export async function readLeaf({ body: text, opening }, ticket) {
  const body = parseCanonical(text, "A leaf");
  if (!shapes.leafBody(body)) refuse("form", "A leaf has other members than it can have.");
  if (body.ticket !== ticket) refuse("ticket", `Leaf ${body.n} tells of another ticket.`);
  if (!EVENTS.has(body.event)) refuse("event", `Leaf ${body.n} tells of something that tickets do not do.`);
  const values = opening === null ? null : await openLeaf(body, opening);
  return { index: body.n, at: body.at, event: body.event, values, body: text };
}

/** The values of a leaf, by group, from its opening. */
export async function openLeaf(body, text) {
  const opening = parseCanonical(text, `The opening of leaf ${body.n}`);
  if (!shapes.leafOpening(opening)) refuse("form", `The opening of leaf ${body.n} has other members than it can have.`);
  const salt = unb64(opening.salt);
  const names = Object.keys(opening.groups);
  let fits = names.length === Object.keys(body.groups).length;
  for (const name of names) {
    const value = canonical(opening.groups[name]);
    const found = await saltedDigest(await hmac(salt, utf8(name)), "counterfoil-leaf-group", value);
    fits &&= body.groups[name] === found;
  }
  if (!fits) refuse("opening", `The opening of leaf ${body.n} belongs to another leaf.`);
  return opening.groups;
}

/** Whether the leaf was opened, and holds these values among others. */
export const says = ({ values }, expected) =>
  values !== null && Object.entries(expected).every(([name, value]) => name in values && values[name] === value);

/** The history that the leaves tell: the leaves, and the state in which they leave the ticket. */
export async function readLeaves(texts, envelope, envelopeDigest) {
  const leaves = [];
  for (const each of texts) {
    const leaf = await readLeaf(each, envelope.ticket);
    const before = leaves.at(-1);
    if (before !== undefined && (leaf.index <= before.index || leaf.at < before.at)) {
      refuse("sequence", `Leaf ${leaf.index} does not come after leaf ${before.index}.`);
    }
    leaves.push(leaf);
  }
  if (leaves[0]?.event !== "request" || leaves.filter(({ event }) => event === "request").length !== 1) {
    refuse("request", "The leaves do not begin with the request.");
  }
  let state = "pending";
  for (const { event } of leaves) {
    if (STEPS.has(event)) state = LIFE[state]?.[event] ?? refuse("history", "The leaves tell a history that no ticket has.");
  }
  const last = (...events) => leaves.findLast(({ event }) => events.includes(event)) ?? null;
  const redeemed = last("redeem");
  for (const leaf of redeemed === null ? [leaves[0]] : [leaves[0], redeemed]) {
    const other = leaf.values !== null && !says(leaf, { envelope: envelopeDigest });
    if (other) refuse("envelope", `Leaf ${leaf.index} tells of another request.`);
  }
  if (redeemed !== null && redeemed.values !== null) {
    const minted = leaves.filter(({ event, index }) => event === "mint" && index < redeemed.index);
    const { capability } = redeemed.values;
    if (!minted.some((leaf) => leaf.values === null || says(leaf, { capability }))) {
      refuse("mint", "The capability that was redeemed was never minted.");
    }
  }
  return { leaves, state, last, redeemed, approved: last("approve") };
}
