#!/usr/bin/env node
// node vectors.mjs FOLDER: what this verifier says of every vector in the folder, as JSON by kind and name. Compare it
// with what the vectors expect: docs/spec/vectors.md.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { b64, digest, unb64, utf8 } from "./bytes.mjs";
import { verifyBundle } from "./bundle.mjs";
import { Feed } from "./feed.mjs";
import { readLeaf } from "./leaves.mjs";
import { checkProof, leafHash } from "./log_proofs.mjs";
import { evidenceOf, grantOf, holds, verifyEvidence, verifyOrder } from "./order.mjs";
import { verifyPresented } from "./presented.mjs";
import { refuse, Refused } from "./refused.mjs";
import { verifyRoster } from "./roster.mjs";
import { checkStatement, readEnvelope } from "./statements.mjs";
import { canonical, parseStrict } from "./strict_json.mjs";
import { readCapability } from "./tokens.mjs";
import { readTrust } from "./trust.mjs";

const folder = process.argv[2];
const read = (name) => readFile(join(folder, name));

const verifiers = {
  async json({ bytes }) {
    return { canonical: canonical(parseStrict(unb64(bytes))) };
  },

  async capability({ token, now }, trust) {
    const { jti, ticket, sub, envelope } = await readCapability(token, trust.authorityKeys, { ...trust, now });
    return { jti, ticket, sub, envelope };
  },

  async order(given, trust) {
    const { claims, envelope } = await verifyOrder(given.order, given.envelope, { ...given, trust });
    const roster = await verifyRoster(parseStrict(await read(given.roster)), trust);
    const displays = await digests(given.displays);
    const grant = await grantUnder(given.access, claims.redeemed_at, roster, trust);
    const about = { envelope, envelopeText: given.envelope, displays, roster, trust, grant };
    const { people, reached } = await verifyEvidence(given.statements, claims.redeemed_at, about);
    return { ticket: claims.ticket, people, reached };
  },

  async presented(given, trust) {
    const { heard_at: heardAt, stopped, redeemed, barred, roster_records: rosterRecords } = given.memory;
    const { roster_head: rosterHead, enrolled } = given.memory;
    const memory = {
      heardAt, stopped: new Set(stopped), redeemed: new Map(Object.entries(redeemed)), barred: new Set(barred),
      rosterRecords, rosterHead, enrolled: new Map(Object.entries(enrolled)),
    };
    const { claims, people, reached } = await verifyPresented(utf8(given.presented), { ...given, trust, memory });
    return { ticket: claims.ticket, people, reached };
  },

  async feed({ pages, now }, trust) {
    const feed = new Feed();
    for (const page of pages) await feed.hear(utf8(page), { trust, now });
    return {
      heard_at: feed.heardAt, size: feed.position.size, root: b64(await feed.position.root()),
      stopped: [...feed.stopped].sort(), redeemed: Object.fromEntries(feed.redeemed), barred: [...feed.barred].sort(),
      roster_records: feed.rosterRecords, roster_head: feed.rosterHead, enrolled: Object.fromEntries(feed.enrolled),
    };
  },

  async statement(given, trust) {
    const roster = await verifyRoster(parseStrict(await read(given.roster)), trust);
    const about = { envelope: readEnvelope(given.envelope), envelopeText: given.envelope, roster, trust };
    const displays = await digests({ [given.seat]: given.display });
    const { statement, person, assurance } = await checkStatement(given, { ...about, displays });
    return { person: person.id, seat: statement.seat, decision: statement.decision, assurance };
  },

  async roster(given, trust) {
    const { version, people, credentials } = await verifyRoster(given, trust);
    const good = [...credentials.values()].filter(({ ended, person }) => !ended && !people.get(person).ended);
    const ended = [...people.values()].filter((person) => person.ended);
    return {
      version,
      people: [...people.keys()].sort(),
      ended: ended.map(({ id }) => id).sort(),
      credentials: good.map(({ id }) => id).sort(),
    };
  },

  async leaf({ body, opening, ticket }) {
    const { index, event, values } = await readLeaf({ body, opening }, ticket);
    return { n: index, event, values, hash: b64(await leafHash(body)) };
  },

  async proof({ proof, body }, trust) {
    const { index, checkpoint } = await checkProof(proof, body, trust);
    return { index, size: Number(checkpoint.size) };
  },
};

/** The grant that an access is at that moment, as an executor verifies it. */
async function grantUnder(access, at, roster, trust) {
  if (access === null) return null;
  const envelope = readEnvelope(access.envelope);
  const displays = await digests(access.displays);
  const about = { envelope, envelopeText: access.envelope, displays, roster, trust };
  const grant = grantOf(envelope, await evidenceOf(access.statements, about), access.redeemed_at);
  return holds(grant, at) ? grant : refuse("grant", "The access had ended.");
}

async function digests(displays) {
  const found = new Map();
  for (const [seat, text] of Object.entries(displays)) found.set(seat, await digest("counterfoil-display", text));
  return found;
}

/** Bundles are answered by what fails and what stays open; a file that is no bundle fails as `bundle`. */
async function audited({ file }, trust) {
  const { findings } = await verifyBundle(await read(file), trust);
  const steps = (status) => [...new Set(findings.filter((each) => each.status === status).map(({ step }) => step))];
  const [fails, open] = [steps("fails"), steps("open")];
  return { verdict: fails.length > 0 ? "refused" : "accepted", fails, open };
}

async function answer({ kind, given, trust: name }) {
  try {
    const trust = await readTrust(await read(name));
    if (kind === "bundle") return await audited(given, trust);
    return { verdict: "accepted", facts: await verifiers[kind](given, trust) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (kind === "bundle") return { verdict: "refused", fails: [error.reason], open: [] };
    return { verdict: "refused", reason: error.reason };
  }
}

const answers = {};
for (const kind of [...Object.keys(verifiers), "bundle"].filter((each) => existsSync(join(folder, `${each}.json`)))) {
  answers[kind] = {};
  for (const vector of parseStrict(await read(`${kind}.json`)).vectors) {
    answers[kind][vector.name] = await answer(vector);
  }
}
console.log(JSON.stringify(answers, null, 1));
