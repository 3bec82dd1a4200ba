// Compact JWS: capabilities, orders, roster records, attestations. docs/spec/common.md, capability.md, order.md.

import { calculateJwkThumbprint, compactVerify, importJWK } from "jose";

import { unb64 } from "./bytes.mjs";
import { refuse, Refused } from "./refused.mjs";
import * as shapes from "./shapes.mjs";
import { isObject, parseStrict } from "./strict_json.mjs";

const MAX_TOKEN = 8192;

/** Public JWKs as keys by their thumbprints, which are their ids; what a JWK says of its own id counts for nothing. */
export async function keysOf(jwks) {
  const keys = new Map();
  for (const { kty, crv, x, y, d } of jwks) {
    try {
      if (kty !== "EC" || crv !== "P-256" || d !== undefined || unb64(x).length !== 32 || unb64(y).length !== 32) throw 0;
      keys.set(await calculateJwkThumbprint({ kty, crv, x, y }), await importJWK({ kty, crv, x, y }, "ES256"));
    } catch {
      refuse("trust", "A key in the trust file is not a public P-256 key.");
    }
  }
  return keys;
}

/** The payload and key id of a token of this type, signed by one of the keys. Says nothing of issuer or times. */
export async function readToken(token, type, keys) {
  const parts = [...token].length <= MAX_TOKEN ? token.split(".") : [];
  if (parts.length !== 3) refuse("token", "It is no compact JWS.");
  const [header, payload, signature] = inWords(() => parts.map(unb64));
  const told = inWords(() => parseStrict(header));
  if (!isObject(told) || Object.keys(told).sort().join() !== "alg,kid,typ") {
    refuse("header", "Its header has other members than alg, kid and typ.");
  }
  if (told.alg !== "ES256") refuse("algorithm", "It is not signed with ES256.");
  if (told.typ !== type) refuse("type", "It is a token of another type.");
  const key = keys.get(told.kid);
  if (key === undefined) refuse("key", "It is signed with a key that is not trusted for it.");
  try {
    if (signature.length !== 64) throw 0;
    await compactVerify(token, key, { algorithms: ["ES256"] });
  } catch {
    refuse("signature", "Its signature is not valid.");
  }
  const value = inWords(() => parseStrict(payload));
  if (!isObject(value)) refuse("payload", "Its payload is not an object.");
  return [value, told.kid];
}

/** What a capability says, for the authority `issuer` at the time `now`. */
export async function readCapability(token, keys, { issuer, now }) {
  const [claims] = await readToken(token, "cf-cap+jwt", keys);
  if (!shapes.capability(claims)) refuse("payload", "It has not the claims of a capability.");
  if (claims.iss !== issuer) refuse("issuer", "It comes from another authority.");
  if (claims.aud !== issuer) refuse("audience", "It is for somebody else.");
  if (!(claims.iat <= now && now < claims.exp)) refuse("time", "It is not valid at this time.");
  return claims;
}

/** What an order says, for this executor; its times are judged in order.mjs. */
export async function readOrder(token, keys, { issuer, executor }) {
  const [claims] = await readToken(token, "cf-exec+jwt", keys);
  if (!shapes.order(claims)) refuse("payload", "It has not the claims of an order.");
  if (claims.iss !== issuer) refuse("issuer", "The order comes from another authority.");
  if (claims.aud !== executor) refuse("audience", "The order is for another executor.");
  return claims;
}

function inWords(read) {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(error.reason, `A part of it cannot be read: ${error.message}`);
  }
}
