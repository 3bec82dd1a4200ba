#!/usr/bin/env node
// node verify.mjs BUNDLE --trust TRUST [--json]: what holds, line by line. Exit code 0 only if nothing fails; 5 if
// something does or the file is no bundle, 2 if the command or the trust file cannot be used.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { verifyBundle } from "./bundle.mjs";
import { Refused } from "./refused.mjs";
import { readTrust } from "./trust.mjs";

const SIGNS = { holds: "✓", fails: "✗", open: "?" };
const [OK, UNUSABLE, DOES_NOT_HOLD] = [0, 2, 5];

async function main() {
  let given;
  let trust;
  try {
    given = commandLine();
    trust = await readTrust(await readFile(given.trust));
    given.bytes = await readFile(given.bundle);
  } catch (error) {
    console.error(`✗ ${error.message}`);
    return UNUSABLE;
  }
  try {
    const report = await verifyBundle(given.bytes, trust);
    if (given.json) console.log(JSON.stringify({ holds: report.holds, findings: report.findings }, null, 2));
    else show(report);
    return report.holds ? OK : DOES_NOT_HOLD;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    console.error(`✗ ${error.message}`);
    return DOES_NOT_HOLD;
  }
}

function commandLine() {
  const options = { trust: { type: "string" }, json: { type: "boolean", default: false } };
  const { positionals, values } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1 || values.trust === undefined) {
    throw new Error("Usage: node verify.mjs BUNDLE --trust TRUST [--json]");
  }
  return { bundle: positionals[0], ...values };
}

function show(report) {
  for (const { status, says } of report.findings) {
    console.log(`${SIGNS[status]} ${says.slice(0, 1).toUpperCase()}${says.slice(1)}`);
  }
  console.log(report.holds
    ? "\nEverything that was looked at holds. What remains a matter of trust: docs/what-remains-trusted.md"
    : "\nIt does not hold: rely on nothing in this file.");
}

process.exitCode = await main();
