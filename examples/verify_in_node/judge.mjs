#!/usr/bin/env node
// node judge.mjs ORDER PAGE... --trust TRUST --executor NAME --floors FLOORS [--now SECONDS] [--json]: whether an executor
// outside would run a presented order, by the pages of the feed that it has read, in their order. Exit code 0 only if it
// would; 5 if it would not, 2 if the command, the trust file or the floors cannot be used.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { Feed } from "./feed.mjs";
import { verifyPresented } from "./presented.mjs";
import { Refused } from "./refused.mjs";
import { at } from "./report.mjs";
import * as shapes from "./shapes.mjs";
import { parseStrict } from "./strict_json.mjs";
import { readTrust } from "./trust.mjs";

const [RUNS, UNUSABLE, DOES_NOT_RUN] = [0, 2, 5];
const USAGE =
  "Usage: node judge.mjs ORDER PAGE... --trust TRUST --executor NAME --floors FLOORS [--now SECONDS] [--json]";

async function main() {
  let given;
  try {
    given = await commandLine();
  } catch (error) {
    console.error(`✗ ${error.message}`);
    return UNUSABLE;
  }
  const feed = new Feed();
  try {
    for (const page of given.pages) await feed.hear(page, given);
    const { envelope, people, reached } = await verifyPresented(given.order, { ...given, memory: feed });
    const { ticket, operation } = envelope;
    if (given.json) console.log(JSON.stringify({ runs: true, ticket, operation, people, reached }, null, 2));
    else show(feed, envelope, people);
    return RUNS;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { reason, message: says } = error;
    if (given.json) console.log(JSON.stringify({ runs: false, reason, says }, null, 2));
    else console.error(`✗ ${says}\n\nIt is not to be run.`);
    return DOES_NOT_RUN;
  }
}

async function commandLine() {
  const text = { type: "string" };
  const options = { trust: text, executor: text, floors: text, now: text, json: { type: "boolean", default: false } };
  const { positionals, values } = parseArgs({ options, allowPositionals: true });
  const { trust, executor, floors: named, now = String(Math.floor(Date.now() / 1000)), json } = values;
  if (positionals.length < 2 || [trust, executor, named].includes(undefined) || !/^[0-9]{1,15}$/.test(now)) {
    throw new Error(USAGE);
  }
  const floors = parseStrict(await readFile(named));
  if (!shapes.floors(floors)) throw new Error("The floors are not, for each operation, a list of what must be signed.");
  const [order, ...pages] = await Promise.all(positionals.map((name) => readFile(name)));
  return { order, pages, trust: await readTrust(await readFile(trust)), executor, floors, now: Number(now), json };
}

function show(feed, { ticket, operation }, people) {
  console.log(`✓ The feed was heard to its end: ${feed.position.size} leaves, as of ${at(feed.heardAt)}.`);
  console.log(`✓ The order of ${ticket}, ${operation}, holds. Signed by: ${people.join(", ")}.`);
  console.log("\nIt may be run, once: only a ledger of your own can know whether it was.");
}

process.exitCode = await main();
