// Proofs that a leaf is on the log, and who saw that log, in the formats of C2SP: tlog-proof, tlog-checkpoint,
// tlog-cosignature, signed-note. docs/spec/leaf.md.

import { concat, plainBase64, same, sha256, utf8, verifiesEd25519 } from "./bytes.mjs";
import { refuse, Refused } from "./refused.mjs";

const LOG = 1;
export const WITNESS = 4;
const MAX_NOTE = 65536;
const MAX_LINES = 64;
const KEY_NAME = /^(?:[^\s\u0085+\u0000-\u001f\u007f]|\ufeff){1,200}$/u;
const SIZE = /^(?:0|[1-9][0-9]{0,17})$/;

/** A verifier key, `name+id+key`. */
export async function readNoteKey(text) {
  const [name, id, ...encoded] = text.trim().split("+");
  const key = plainBase64(encoded.join("+"));
  if (KEY_NAME.test(name) && key?.length === 33 && [LOG, WITNESS].includes(key[0])) {
    const hash = (await sha256(concat(utf8(`${name}\n`), key))).subarray(0, 4);
    if (Buffer.from(hash).toString("hex") === id) return { name, kind: key[0], public: key.subarray(1), id: hash };
  }
  return refuse("trust", "The key of a log or a witness in the trust file cannot be read.");
}

/** The index of the leaf with this body, and the checkpoint that it is under. */
export async function checkProof(proof, body, { log, former }) {
  const gap = proof.indexOf("\n\n");
  const lines = proof.slice(0, Math.max(gap, 0)).split("\n");
  if (gap === -1 || lines[0] !== "c2sp.org/tlog-proof@v1") refuse("form", "This is no proof of inclusion.");
  if (lines[1]?.startsWith("extra ")) lines.splice(1, 1); // what it says has no meaning here
  const number = lines[1]?.startsWith("index ") ? lines[1].slice("index ".length) : "";
  const path = lines.slice(2).map(plainBase64);
  if (!SIZE.test(number) || path.length > MAX_LINES) refuse("form", "This is no proof of inclusion.");
  const checkpoint = await readAsOfThen(proof.slice(gap + 2), log, former);
  await checkInclusion(await leafHash(body), BigInt(number), checkpoint, path);
  return { index: Number(number), checkpoint };
}

export const leafHash = (body) => sha256(concat([0], utf8(body)));

export const nodeHash = (left, right) => sha256(concat([1], left, right));

export const EMPTY = await sha256(new Uint8Array());

/**
 * RFC 9162, section 2.1.4.2: that the tree of `old` leaves is the beginning of the one of `size`. Sizes are BigInt,
 * the hashes of the proof bytes.
 */
export async function checkConsistency(old, oldRoot, size, root, proof) {
  const differs = () => refuse("consistency", "The two trees are not consistent.");
  if (old > size || proof.some((each) => each.length !== 32)) differs();
  if (old === 0n || old === size) {
    if (proof.length > 0 || !same(oldRoot, old === size ? root : EMPTY)) differs();
    return;
  }
  const path = (old & (old - 1n)) === 0n ? [oldRoot, ...proof] : [...proof];
  if (path.length === 0) differs();
  let [place, last] = [old - 1n, size - 1n];
  while (place & 1n) [place, last] = [place >> 1n, last >> 1n];
  let [first, second] = [path[0], path[0]];
  for (const sibling of path.slice(1)) {
    if (last === 0n) differs();
    if (place & 1n || place === last) {
      [first, second] = [await nodeHash(sibling, first), await nodeHash(sibling, second)];
      while (!(place & 1n) && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      second = await nodeHash(second, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  if (last !== 0n || !same(first, oldRoot) || !same(second, root)) differs();
}

/** RFC 9162, section 2.1.3.2; sizes go beyond what a number of JavaScript holds, so they are BigInt. */
async function checkInclusion(leaf, index, { size, root }, path) {
  if (index >= size || path.some((each) => each?.length !== 32)) refuse("index", "The proof names no leaf of its tree.");
  let [found, place, last] = [leaf, index, size - 1n];
  for (const sibling of path) {
    if (last === 0n) refuse("path", "The proof is longer than its tree is high.");
    if (place & 1n || place === last) {
      found = await nodeHash(sibling, found);
      while (!(place & 1n) && place !== 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      found = await nodeHash(found, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  if (last !== 0n || !same(found, root)) refuse("path", "The proof does not lead from the leaf to the root that was signed.");
}

/** A checkpoint signed by the log's key or, as far as it counts, by one that the log had before. */
async function readAsOfThen(note, log, former) {
  try {
    return await readCheckpoint(note, log);
  } catch (refusal) {
    if (!(refusal instanceof Refused)) throw refusal;
    for (const { key, size } of former) {
      const found = await readCheckpoint(note, key).catch((error) => {
        if (!(error instanceof Refused)) throw error;
        return null;
      });
      if (found !== null && found.size <= size) return found;
    }
    throw refusal;
  }
}

/** A checkpoint signed by the log's key; signatures of others may stand beside its own. */
export async function readCheckpoint(note, log) {
  const [body, signatures] = noteParts(note);
  const lines = body.split("\n");
  const root = lines.length >= 4 ? plainBase64(lines[2]) : null;
  if (root?.length !== 32 || !SIZE.test(lines[1]) || lines.slice(0, -1).includes("")) {
    refuse("form", "This is no checkpoint of a log.");
  }
  if (lines[0] !== log.name || log.kind !== LOG) refuse("log", `The checkpoint is of another log than ${log.name}.`);
  const own = signatureOf(log, signatures);
  const signed = own !== null && (await verifiesEd25519(log.public, own, utf8(body)));
  if (!signed) refuse("signature", `The checkpoint is not signed by the key of the log ${log.name}.`);
  return { size: BigInt(lines[1]), root, note, body, signatures };
}

/** When a witness saw the checkpoint, in seconds as a BigInt; null if it did not sign. */
export async function cosignedAt({ body, signatures }, witness) {
  const own = signatureOf(witness, signatures);
  if (own === null) return null;
  if (own.length === 8 + 64) {
    const time = Buffer.from(own).readBigUInt64BE();
    const message = utf8(`cosignature/v1\ntime ${time}\n${body}`);
    if (await verifiesEd25519(witness.public, own.subarray(8), message)) return time;
  }
  return refuse("signature", `The cosignature of ${witness.name} does not hold.`);
}

/** What the key signed with, if it did. */
function signatureOf(key, signatures) {
  const own = signatures.filter(([name, content]) => name === key.name && same(content.subarray(0, 4), key.id));
  if (own.length > 1) refuse("signature", `The note has two signatures of ${key.name}.`);
  return own.length === 1 ? own[0][1].subarray(4) : null;
}

/** The signed text of a note, and name and content of each signature line. */
function noteParts(note) {
  const gap = note.lastIndexOf("\n\n");
  const lines = note.slice(gap + 2).split("\n");
  if ([...note].length > MAX_NOTE || gap < 1 || lines.pop() !== "" || lines.length < 1 || lines.length > MAX_LINES) {
    refuse("form", "This is no signed note.");
  }
  const signatures = lines.map((line) => {
    const [dash, name, encoded] = line.split(" ");
    const content = plainBase64(encoded ?? "");
    if (dash !== "—" || !KEY_NAME.test(name ?? "") || content === null || content.length < 5) {
      refuse("form", "A signature line of the note cannot be read.");
    }
    return [name, content];
  });
  return [note.slice(0, gap + 1), signatures];
}
