// What a verifier brings itself: the trust file of docs/spec/bundle.md.

import { readNoteKey } from "./log_proofs.mjs";
import { refuse, Refused } from "./refused.mjs";
import * as shapes from "./shapes.mjs";
import { parseStrict } from "./strict_json.mjs";
import { keysOf } from "./tokens.mjs";

const MAX_TRUST = 1 << 18;

export async function readTrust(bytes) {
  if (bytes.length > MAX_TRUST) refuse("trust", "The trust file is too large.");
  let file;
  try {
    file = parseStrict(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse("trust", `The trust file cannot be read: ${error.message}`);
  }
  if (!shapes.trust(file)) refuse("trust", "This is no trust file of Counterfoil, or it has other members than one.");
  return {
    issuer: file.issuer,
    executors: file.executors,
    party: file.party,
    origins: file.origins,
    rosterKeys: await keysOf(file.roster_keys),
    rosterVersion: file.roster_version,
    authorityKeys: await keysOf(file.authority_keys),
    log: file.log_key === null ? null : await readNoteKey(file.log_key),
  };
}
