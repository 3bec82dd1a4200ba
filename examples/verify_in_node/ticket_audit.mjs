// What a bundle proves about one ticket: the request itself, or the access under which it ran. Steps 3 to 9 of
// docs/spec/bundle.md. Statements are judged by the roster as it was when they counted.

import { digest } from "./bytes.mjs";
import { readLeaves, says } from "./leaves.mjs";
import { evidenceOf, grantOf, holds, metButForTime, verifyEvidence } from "./order.mjs";
import { checkEstablished, checkOutcome } from "./outcome.mjs";
import { checkPage, readPage, rungInWords, seatInWords } from "./pages.mjs";
import { refuse } from "./refused.mjs";
import { at } from "./report.mjs";
import { checkStatement, envelopeDigest, readArguments, readEnvelope, readStatement } from "./statements.mjs";
import { auditTokens } from "./ticket_tokens.mjs";

const CHANGED = "the desk has changed since";
const DECIDED = { approve: "approved", grant: "granted access", decline: "declined" };
const ASSURED = {
  passkey: "a passkey that may be copied between their devices",
  passkey_bound: "a passkey that cannot leave its device",
};

export class TicketAudit {
  envelope = null;
  told = null;
  grant = null;
  /** The digest of what each seat had to be shown. */
  displays = new Map();

  constructor(part, rosterThen, trust, report, handedOut, of) {
    Object.assign(this, { part, rosterThen, trust, report, handedOut, of });
  }

  async verify(access) {
    const envelope = await this.check("request", "the request", () => this.readRequest());
    if (envelope === undefined) return;
    this.envelope = envelope;
    this.hold("request",
      `the request is ${envelope.ticket}: ${envelope.operation} for account ${envelope.account ?? "unknown"}, asked for` +
        ` by ${envelope.principal} on ${at(envelope.requested_at)}.`);
    const told = await this.check("history", "the history", () => this.readHistory());
    if (told === undefined) return;
    this.told = told;
    const [first, last] = [told.leaves.at(0).index, told.leaves.at(-1).index];
    this.hold("history",
      `leaves ${first} to ${last} open rightly and tell a history that ends as ${told.state.replaceAll("_", " ")}.`);
    const unopened = told.leaves.filter(({ values }) => values === null).length;
    if (unopened > 0) this.open("history", `leaves cannot be read, their openings were deleted: ${unopened}.`);
    await this.pages();
    let sound = true;
    for (const number of this.part.statements.keys()) sound = (await this.statement(number)) && sound;
    if (sound) {
      const consent = await this.check("consent", "the consent", () => this.consent(access));
      if (consent !== undefined) this.hold("consent", consent);
    }
    await auditTokens(this);
    await this.ended();
  }

  check(step, what, work) {
    return this.report.check(step, this.of + what, work);
  }

  hold(step, words) {
    this.report.add("holds", step, this.of + words);
  }

  open(step, words) {
    this.report.add("open", step, this.of + words);
  }

  /** 3. The envelope. */
  async readRequest() {
    const envelope = readEnvelope(this.part.envelope);
    this.args = readArguments(envelope.arguments);
    if (envelope.issuer !== this.trust.issuer) refuse("issuer", "It was made by another authority.");
    if (!this.trust.executors.includes(envelope.executor)) refuse("audience", "It was for another executor.");
    return envelope;
  }

  /** 4. The leaves. */
  async readHistory() {
    const named = await envelopeDigest(this.part.envelope);
    const told = await readLeaves(this.part.leaves, this.envelope, named);
    if (told.state !== this.part.state) refuse("state", `The leaves tell of a ticket that is ${told.state}.`);
    const { principal, operation } = this.envelope;
    const [first] = told.leaves;
    if (first.values !== null && !says(first, { principal, operation })) {
      refuse("request", `Leaf ${first.index} tells of another request.`);
    }
    this.decisions = told.leaves.filter(({ event }) => event === "statement");
    if (this.decisions.length !== this.part.statements.length) {
      refuse("statements", "There are more or fewer statements than the leaves tell of.");
    }
    return told;
  }

  /** 6. What each page showed. Before the statements, which name its digest. */
  async pages() {
    for (const { seat, content } of this.part.displays) {
      if (seat === "settlement") continue;
      const what = `what the page showed ${seatInWords(seat)}`;
      const fits = await this.check("page", what, async () => {
        if (this.displays.has(seat)) refuse("twice", "It is in the bundle twice.");
        this.displays.set(seat, await digest("counterfoil-display", content));
        checkPage(readPage(content), this.envelope, this.args, seat);
        return true;
      });
      if (fits) this.hold("page", `${what} says what the request says.`);
    }
  }

  /** 5. One statement. */
  async statement(number) {
    const found = await this.check("statement", `statement ${number + 1}`, () => this.checkStatement(number));
    if (found !== undefined) this.hold("statement", found);
    return found !== undefined;
  }

  async checkStatement(number) {
    const signed = this.part.statements[number];
    const { seat, decision, person, display, iat } = readStatement(signed.statement);
    const leaf = this.decisions[number];
    const statement = await digest("counterfoil-statement", signed.statement);
    if (leaf.values !== null && !says(leaf, { statement, seat, decision, person })) {
      refuse("leaf", `Leaf ${leaf.index} tells of another statement.`);
    }
    if (leaf.at < iat) refuse("time", "It was recorded before it was made.");
    if (!this.displays.has(seat)) {
      this.displays.set(seat, display);
      this.open("page", `what the page showed ${seatInWords(seat)} is not in the bundle: ${CHANGED}.`);
    }
    const counted = this.told.redeemed ?? this.told.approved;
    const moment = counted === null || decision === "decline" ? iat : Math.max(counted.at, iat);
    const { person: signer, assurance } = await checkStatement(signed, await this.given(moment));
    return (
      `${signer.name} (${signer.id}) ${DECIDED[decision]} ${seatInWords(seat)}, on ${at(iat)}, with` +
      ` ${ASSURED[assurance]}, their finger, face or PIN verified, at one of ${[...this.trust.origins].sort().join(", ")}.`
    );
  }

  /** What a statement that counted at `moment` is judged by. */
  async given(moment) {
    const { envelope, displays, trust } = this;
    return { envelope, envelopeText: this.part.envelope, displays, trust, roster: await this.rosterThen(moment) };
  }

  /** 7. Whether it was enough. */
  async consent(access) {
    const { redeemed, approved, state } = this.told;
    const { envelope } = this;
    if (redeemed === null) {
      if (approved !== null && envelope.grant === null) return this.approvedOnly(approved.at);
      return "it was not redeemed, so nothing of it was to be carried out.";
    }
    if (!(envelope.requested_at <= redeemed.at && redeemed.at < envelope.expires_at)) {
      refuse("lifetime", "The ticket was redeemed outside its lifetime.");
    }
    const grant = access === null ? null : access.grant;
    if (envelope.grant !== null && (grant === null || !holds(grant, redeemed.at))) {
      refuse("grant", "It ran under an access that is not in the bundle, does not hold, or had ended.");
    }
    const given = { ...(await this.given(redeemed.at)), grant };
    const evidence = await verifyEvidence(this.part.statements, redeemed.at, given);
    if (envelope.operation === "access" && state === "executed") this.grant = grantOf(envelope, evidence, redeemed.at);
    if (envelope.grant !== null) {
      return `it ran by itself under the access ${envelope.grant}, which held on ${at(redeemed.at)}.`;
    }
    return `that was enough when it was redeemed on ${at(redeemed.at)}: ${this.either()}.`;
  }

  async approvedOnly(moment) {
    const approvals = this.part.statements.filter(({ statement }) => readStatement(statement).decision !== "decline");
    const evidence = await evidenceOf(approvals, await this.given(moment));
    if (evidence.completeAt > moment) refuse("time", "A signature was made after the approval.");
    if (!metButForTime(this.envelope.requirements, evidence.reached)) {
      refuse("requirements", "The signatures do not meet what the request requires.");
    }
    return `that was enough to approve it on ${at(moment)}: ${this.either()}. It was never redeemed.`;
  }

  either() {
    return this.envelope.requirements.map(rungInWords).filter((words) => words !== "").join(", or ");
  }

  /** 9. What came of it. */
  async ended() {
    let settlement = null;
    if (this.part.settlement !== null) {
      const found = await this.check("settlement", "what was established afterwards", () => checkEstablished(this));
      if (found !== undefined) {
        settlement = found.settlement;
        if (!this.part.displays.some(({ seat }) => seat === "settlement")) {
          this.open("page", `what the page showed then is not in the bundle: ${CHANGED}.`);
        }
        this.hold("settlement",
          `${found.person.name} (${found.person.id}) established ${seatInWords(settlement.seat)} that it was` +
            ` ${settlement.found.replaceAll("_", " ")}, signed on ${at(settlement.iat)}.`);
      }
    }
    const recorded = await this.check("outcome", "the outcome", () => checkOutcome(this.part, this.told, settlement));
    if (recorded) {
      const whose = settlement === null ? "what its leaf records" : "what was established";
      const state = this.told.state.replaceAll("_", " ");
      this.hold("outcome", `it ended as ${state}, and the outcome in the bundle is ${whose}.`);
    }
  }
}
