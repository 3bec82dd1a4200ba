// The feed that an executor outside follows, page by page: docs/spec/outside-executor.md.

import { digest, unb64 } from "./bytes.mjs";
import { checkConsistency, EMPTY, leafHash, nodeHash, readCheckpoint } from "./log_proofs.mjs";
import { openLeaf } from "./leaves.mjs";
import { refuse, Refused } from "./refused.mjs";
import * as shapes from "./shapes.mjs";
import { parseCanonical, parseStrict } from "./strict_json.mjs";
import { readToken } from "./tokens.mjs";

const MAX_PAGE = 4 << 20;
export const FEED_LIFE = 60;
const FINAL_KINDS = new Set(["ticket", "capability", "principal", "conversation", "person", "key"]);
const BARS = new Set(["suspend", "revoke_scope"]);
/** Leaves that say something when they are opened, and the group that says it. */
const SAYS = {
  redeem: "envelope", suspend: "scope", resume: "scope", revoke_scope: "scope", roster: "record",
};
const NOTHING_HAPPENS = new Set([
  "decline", "cancel", "expire", "revoke", "report_not_executed", "find_not_executed",
]);

/** How far the log was read: how many leaves, and the roots of the complete subtrees over them, largest first. */
class Position {
  constructor(size = 0, peaks = []) {
    Object.assign(this, { size, peaks });
  }

  async after(bodies) {
    const peaks = [...this.peaks];
    let size = this.size;
    for (const body of bodies) {
      peaks.push(await leafHash(body));
      size += 1;
      for (let whole = size; whole % 2 === 0; whole /= 2) {
        const right = peaks.pop();
        peaks.push(await nodeHash(peaks.pop(), right));
      }
    }
    return new Position(size, peaks);
  }

  async root() {
    const [last, ...others] = [...this.peaks].reverse();
    let root = last ?? EMPTY;
    for (const peak of others) root = await nodeHash(peak, root);
    return root;
  }
}

/** What was heard of the feed. A page is heard as a whole, where it verifies, or nothing of it is. */
export class Feed {
  /** Of the newest complete reading, in Unix seconds; null before the first. */
  heardAt = null;
  stopped = new Set();
  /** By ticket: the digest of the request that was redeemed, and when. */
  redeemed = new Map();
  barred = new Set();
  rosterRecords = 0;
  /** The digest of the last record of the roster that the log tells of; empty where it does not say. */
  rosterHead = "";
  /** By invitation: the enrolment that the log told of first, both as digests. */
  enrolled = new Map();
  position = new Position();
  #newest = -Infinity;
  #forGood = new Set();

  /** Hear the page that goes on where the last one ended. `now`: the reader's own clock. */
  async hear(bytes, { trust, now }) {
    const page = readPage(bytes);
    if (trust.log === null) refuse("log", "The trust file names no log, so there is none to follow.");
    const at = await statedAt(page, trust);
    if (at < this.#newest) refuse("older", "The feed is older than what was heard of it before.");
    if (at > now + FEED_LIFE) refuse("ahead", "The feed's time is still to come: one of the two clocks is wrong.");
    const checkpoint = await readCheckpoint(page.checkpoint, trust.log);
    const end = BigInt(this.position.size + page.leaves.length);
    if (page.first !== this.position.size) refuse("first", "The feed does not go on where it was read to.");
    if (checkpoint.size < end) refuse("size", "The feed's checkpoint is of fewer leaves than were read.");
    if (page.leaves.length === 0 && checkpoint.size > end) refuse("leaves", "The feed leaves out what the log has.");
    const heard = [];
    for (const [place, leaf] of page.leaves.entries()) heard.push(await readLeaf(leaf, page.first + place));
    const position = await this.position.after(page.leaves.map(({ body }) => body));
    await checkConsistency(end, await position.root(), checkpoint.size, checkpoint.root, hashesOf(page));
    for (const each of heard) this.#keep(each);
    this.position = position;
    this.#newest = at;
    if (checkpoint.size === end) this.heardAt = at;
  }

  #keep({ event, ticket, at, told }) {
    if (ticket !== null && NOTHING_HAPPENS.has(event)) this.stopped.add(ticket);
    if (event === "roster") {
      this.rosterRecords += 1;
      this.rosterHead = told ?? "";
    } else if (event === "enrol" && told !== null && !this.enrolled.has(told[0])) {
      this.enrolled.set(...told);
    } else if (event === "redeem" && ticket !== null && told !== null && !this.redeemed.has(ticket)) {
      this.redeemed.set(ticket, [told, at]);
    } else if (event === "resume" && !this.#forGood.has(told)) {
      this.barred.delete(told);
    } else if (event === "suspend" || (event === "revoke_scope" && FINAL_KINDS.has(told.split(":")[0]))) {
      this.barred.add(told);
      if (event === "revoke_scope") this.#forGood.add(told);
    }
  }
}

function readPage(bytes) {
  let page = null;
  try {
    if (bytes.length <= MAX_PAGE) page = parseStrict(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return shapes.feedPage(page) ? page : refuse("form", "This is no page of a feed.");
}

/** When the page's checkpoint was the newest, by the authority's word. */
async function statedAt({ statement, checkpoint }, { authorityKeys, issuer }) {
  const [stated] = await readToken(statement, "cf-feed+jwt", authorityKeys);
  if (!shapes.feedStatement(stated)) refuse("payload", "It has not the claims of a feed.");
  if (stated.iss !== issuer) refuse("issuer", "The feed is that of another authority.");
  if (stated.checkpoint !== (await digest("counterfoil-feed-checkpoint", checkpoint))) {
    refuse("checkpoint", "The feed's signature is for another checkpoint.");
  }
  return stated.iat;
}

/**
 * What one leaf tells. `told`: the envelope, scope or record in its opening, or invitation and enrolment; null where
 * there is nothing to open.
 */
async function readLeaf({ body: text, opening }, index) {
  const body = parseCanonical(text, `Leaf ${index} of the feed`);
  if (!shapes.leafBody(body)) refuse("form", `Leaf ${index} of the feed has other members than it can have.`);
  const { event, ticket, at } = body;
  if (body.n !== index) refuse("index", `Leaf ${index} of the feed is not the one that follows.`);
  const leaf = { event, ticket, at, told: null };
  if (event === "enrol") return { ...leaf, told: await readEnrolment(body, opening, index) };
  if (!Object.hasOwn(SAYS, event)) return leaf;
  if (opening === null) {
    if (BARS.has(event)) refuse("opening", `Leaf ${index} of the feed bars something, but does not open.`);
    return leaf;
  }
  const told = (await openLeaf(body, opening))[SAYS[event]];
  if (!shapes.text(told)) refuse("group", `Leaf ${index} of the feed does not say its ${SAYS[event]}.`);
  return { ...leaf, told };
}

/** The digests of an invitation and of the enrolment made with it; of an earlier version, what stands for them. */
async function readEnrolment(body, opening, index) {
  const isEarlier = !Object.hasOwn(body.groups, "enrolment");
  if (opening === null) {
    if (!isEarlier) refuse("opening", `Leaf ${index} of the feed tells of an enrolment, but does not open.`);
    return null;
  }
  const { credential, invitation, enrolment } = await openLeaf(body, opening);
  if (isEarlier) return shapes.text(credential) ? [`credential:${credential}`, ""] : null;
  if (!shapes.text(invitation) || !shapes.text(enrolment)) {
    refuse("group", `Leaf ${index} of the feed does not say its enrolment.`);
  }
  return [invitation, enrolment];
}

function hashesOf({ consistency }) {
  try {
    return consistency.map(unb64);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse("consistency", "A hash of the proof cannot be read.");
  }
}
