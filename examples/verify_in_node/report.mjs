// The lines of an audit: what holds, what fails, and what stays open.

import { Refused } from "./refused.mjs";

export class Report {
  findings = [];

  add(status, step, says) {
    this.findings.push({ status, step, says });
  }

  get holds() {
    return this.findings.every(({ status }) => status !== "fails");
  }

  /** What the work answers; or undefined, and a line that it does not hold and why. */
  async check(step, what, work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.add("fails", step, `${what} does not hold. ${error.message}`);
      return undefined;
    }
  }
}

/** The first and the last second of the years 1 to 9999. */
const [FIRST, LAST] = [-62135596800, 253402300799];

/** Unix seconds as date and time in UTC. */
export function at(seconds) {
  if (seconds < FIRST || seconds > LAST) return `second ${seconds}`;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
