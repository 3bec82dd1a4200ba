// Which leaves of a bundle are on the log, and which witnesses saw that log: steps 11 and 12 of docs/spec/bundle.md.

import { checkProof, cosignedAt } from "./log_proofs.mjs";
import { refuse, Refused } from "./refused.mjs";
import { at } from "./report.mjs";

/** 11. Which leaves are proven to be on the log. */
export async function checkProofs(given, told, trust, report) {
  const { log } = trust;
  const proofs = new Map(given.map(({ leaf, proof }) => [leaf, proof]));
  const leaves = new Map(told.map(({ index, body }) => [index, body]));
  if (proofs.size !== given.length || [...proofs.keys()].some((index) => !leaves.has(index))) {
    report.add("fails", "log", "There is a proof of a leaf that is not in the bundle, or one leaf has two.");
  }
  const under = [];
  const indices = [...leaves.keys()].sort((one, other) => one - other);
  for (const index of indices) {
    if (log === null) {
      report.add("open", "log", `Leaf ${index} is not proven to be on the log: you trust no log.`);
    } else if (!proofs.has(index)) {
      report.add("fails", "log", `Leaf ${index} is not proven to be on the log: no proof came with it.`);
    } else {
      const checkpoint = await report.check("log", `The proof of leaf ${index}`, async () => {
        const proven = await checkProof(proofs.get(index), leaves.get(index), trust);
        return proven.index === index ? proven.checkpoint : refuse("index", "It is of another place on the log.");
      });
      if (checkpoint !== undefined) under.push(checkpoint);
    }
  }
  if (log !== null && under.length > 0 && under.length === indices.length) {
    const largest = under.map(({ size }) => size).reduce((one, other) => (one > other ? one : other));
    report.add("holds", "log",
      `Leaves ${indices.join(", ")} are on the log ${log.name}, under a checkpoint of ${largest} leaves that its key` +
        " signed.");
  }
  if (trust.witnesses.length > 0) await checkWitnesses(under, trust, report);
}

/** 12. Which of the trusted witnesses cosigned each checkpoint, and when; below the quorum it fails. */
async function checkWitnesses(under, { witnesses, quorum }, report) {
  for (const checkpoint of new Map(under.map((each) => [each.note, each])).values()) {
    const seen = [];
    for (const witness of witnesses) {
      try {
        const time = await cosignedAt(checkpoint, witness);
        if (time !== null) seen.push(`${witness.name} on ${at(time)}`);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        report.add("fails", "witnesses", error.message);
      }
    }
    const what = `The checkpoint of ${checkpoint.size} leaves is cosigned by`;
    const who = `${seen.length} of the ${witnesses.length} witnesses that you trust`;
    const names = seen.length > 0 ? `: ${seen.join(", ")}, each by its own clock` : "";
    if (seen.length < quorum) {
      report.add("fails", "witnesses", `${what} only ${who}${names}; you ask for ${quorum}.`);
    } else {
      report.add("holds", "witnesses", `${what} ${who}${names}${quorum > 0 ? "" : "; you ask for none"}.`);
    }
  }
}
