/** Why something does not hold. `reason` is a word of docs/spec that programs compare; `says` is a sentence. */
export class Refused extends Error {
  constructor(reason, says) {
    super(says);
    this.reason = reason;
  }
}

export function refuse(reason, says) {
  throw new Refused(reason, says);
}
