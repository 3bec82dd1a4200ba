// Bytes, base64, hashes and signatures: docs/spec/common.md. Everything is WebCrypto's.

import { refuse } from "./refused.mjs";

const { subtle } = globalThis.crypto;
const encoder = new TextEncoder();

export const utf8 = (text) => encoder.encode(text);

export const concat = (...parts) => Uint8Array.from(Buffer.concat(parts.map((part) => Uint8Array.from(part))));

export const same = (one, other) => Buffer.compare(one, other) === 0;

/** base64url without padding. */
export const b64 = (bytes) => Buffer.from(bytes).toString("base64url");

/** The bytes of base64url in its only spelling. */
export function unb64(text) {
  const bytes = typeof text === "string" ? Uint8Array.from(Buffer.from(text, "base64url")) : null;
  if (bytes === null || b64(bytes) !== text) refuse("base64", "A value is not base64url in its only spelling.");
  return bytes;
}

/** The bytes of standard base64 with padding in its only spelling, or null. */
export function plainBase64(text) {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return Buffer.from(bytes).toString("base64") === text ? bytes : null;
}

export async function hash(name, bytes) {
  return new Uint8Array(await subtle.digest(name, bytes));
}

export const sha256 = (bytes) => hash("SHA-256", bytes);

export async function hmac(key, bytes) {
  // RFC 2104 fills a short key up with zeros; WebCrypto refuses an empty one.
  const filled = key.length > 0 ? key : new Uint8Array(1);
  const imported = await subtle.importKey("raw", filled, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", imported, bytes));
}

/** The pre-authentication encoding of DSSE: what is hashed always says what kind of thing it is. */
export function preAuth(kind, body) {
  const bytes = typeof body === "string" ? utf8(body) : body;
  return concat(utf8(`DSSEv1 ${utf8(kind).length} ${kind} ${bytes.length} `), bytes);
}

export const digest = async (kind, body) => b64(await sha256(preAuth(kind, body)));

export const saltedDigest = async (salt, kind, body) => b64(await hmac(salt, preAuth(kind, body)));

/** Whether an Ed25519 key of 32 bytes made this signature. */
export async function verifiesEd25519(key, signature, message) {
  try {
    const imported = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return await subtle.verify("Ed25519", imported, signature, message);
  } catch {
    return false; // no point of the curve
  }
}

const P256_SPKI = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");

/** Whether the P-256 key (DER SubjectPublicKeyInfo) made this ECDSA signature (DER) with SHA-256. */
export async function verifiesP256(spki, signature, message) {
  const raw = ecdsaFromDer(signature);
  if (raw === null || spki.length !== 91 || !same(spki.subarray(0, P256_SPKI.length), P256_SPKI)) return false;
  try {
    const key = await subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    return await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, raw, message);
  } catch {
    return false; // no point of the curve
  }
}

/** r and s of 32 bytes each, from the only DER spelling of them; null for any other. */
function ecdsaFromDer(der) {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der[1] > 127) return null;
  const raw = new Uint8Array(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1];
    const number = der.subarray(at + 2, at + 2 + length);
    if (der[at] !== 0x02 || !(length >= 1) || number.length !== length || number[0] > 127) return null;
    if (length > 1 && number[0] === 0 && number[1] < 128) return null; // a zero too many
    const value = number[0] === 0 ? number.subarray(1) : number;
    if (value.length > 32) return null;
    raw.set(value, end - value.length);
    at += 2 + length;
  }
  return at === der.length ? raw : null;
}
