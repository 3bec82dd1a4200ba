// Keys that may invite people in the roster key's place, and do nothing else: docs/spec/roster.md.

import { refuse, Refused } from "./refused.mjs";
import { keysOf } from "./tokens.mjs";

/** What the records walked so far say of delegates, and who invited whom. */
export class Delegates {
  keys = new Map();
  named = new Map();
  ended = new Set();
  /** By person and by account, who invited them: ids of delegates, and "" for the roster key. */
  inviters = new Map();
  holders = new Map();

  async add(record) {
    const [id, key] = await keyOf(record);
    if (this.named.has(id)) refuse("delegation", `Record ${record.version} names a delegate that was named before.`);
    this.named.set(id, record);
    this.keys.set(id, key);
  }

  /** Refused unless this delegate may sign this record, of which those before are dated at most `before`. */
  check(id, record, before) {
    const { version, type, person, accounts, roles, iat } = record;
    const delegation = this.named.get(id);
    const only = (allowed, what) => allowed || refuse("delegate", `Record ${version} of the roster ${what}.`);
    const others = (inviters) => [...(inviters ?? [])].some((inviter) => inviter !== id);
    only(type === "invitation", "is by a delegate, which may only invite");
    only(iat >= before, "is dated before the one that precedes it");
    only(!this.ended.has(id) && iat <= delegation.exp, "is by a delegate whose time is over");
    only(roles.every((role) => delegation.roles.includes(role)), "gives a role that its delegate may not give");
    only(!others(this.inviters.get(person)), "is about somebody whom its delegate did not invite");
    const elses = accounts.some((account) => others(this.holders.get(account)));
    only(!elses, "gives an account whose holder its delegate did not invite");
  }

  /** Remember who invited: a delegate's id, or "" for the roster key. */
  invited(id, { person, accounts }) {
    remember(this.inviters, person, id);
    for (const account of accounts) remember(this.holders, account, id);
  }
}

async function keyOf({ x, y, version }) {
  try {
    return [...(await keysOf([{ kty: "EC", crv: "P-256", x, y }]))][0];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse("delegation", `Record ${version} of the roster names a key that cannot be one.`);
  }
}

function remember(known, name, id) {
  known.set(name, (known.get(name) ?? new Set()).add(id));
}
