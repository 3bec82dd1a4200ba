// What a verifier brings itself: the trust file of docs/spec/bundle.md.

import { b64 } from "./bytes.mjs";
import { readNoteKey, WITNESS } from "./log_proofs.mjs";
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
  const rosterKeys = await keysOf(file.roster_keys);
  const replaced = new Map(Object.entries(file.replaced ?? {}));
  if ([...replaced.keys()].some((id) => !rosterKeys.has(id))) {
    refuse("trust", "The trust file says where a roster key stopped that it does not have.");
  }
  return {
    issuer: file.issuer,
    executors: file.executors,
    party: file.party,
    origins: file.origins,
    rosterKeys,
    replaced,
    rosterVersion: file.roster_version,
    authorityKeys: await keysOf(file.authority_keys),
    log: file.log_key === null ? null : await logKey(file.log_key),
    witnesses: await witnessesOf(file),
    quorum: file.quorum ?? 0,
    former: await formerKeys(file),
  };
}

async function logKey(text) {
  const key = await readNoteKey(text);
  if (key.kind === WITNESS) refuse("trust", "The log's key in the trust file is not one that signs checkpoints.");
  return key;
}

/** The keys that the log had before, each with the size up to which its checkpoints count. */
async function formerKeys({ former_log_keys: former = [], log_key: log }) {
  const keys = await Promise.all(former.map(({ key }) => logKey(key)));
  const all = log === null ? keys : [...keys, await logKey(log)];
  if (new Set(all.map((key) => b64(key.public))).size !== all.length) {
    refuse("trust", "The trust file names a key of the log twice.");
  }
  return former.map(({ size }, index) => ({ key: keys[index], size: BigInt(size) }));
}

async function witnessesOf({ witnesses = [], quorum = 0, log_key: log }) {
  const keys = await Promise.all(witnesses.map(readNoteKey));
  if (keys.some(({ kind }) => kind !== WITNESS)) {
    refuse("trust", "The key of a witness in the trust file is not one that cosigns.");
  }
  if (new Set(keys.map((key) => b64(key.public))).size !== keys.length) {
    refuse("trust", "The trust file names a witness twice.");
  }
  const own = log === null ? null : b64((await logKey(log)).public);
  if (keys.some((key) => b64(key.public) === own)) {
    refuse("trust", "The trust file names the log as its own witness.");
  }
  if (quorum > keys.length || (keys.length > 0 && log === null)) {
    refuse("trust", "The trust file asks for more witnesses than it names, or names them without a log.");
  }
  return keys;
}
