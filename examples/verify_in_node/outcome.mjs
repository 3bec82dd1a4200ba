// How a ticket ended: the outcome on its leaf, or what a person signed of one that nobody knew.

import { digest } from "./bytes.mjs";
import { says } from "./leaves.mjs";
import { checkPage, readPage } from "./pages.mjs";
import { refuse } from "./refused.mjs";
import { checkSettlement, readSettlement, readStatement } from "./statements.mjs";
import { canonical, isObject } from "./strict_json.mjs";

const FOUND = { executed: "find_executed", not_executed: "find_not_executed" };
const REPORTED = ["report_executed", "report_not_executed", "report_unknown"];
const HAPPENED = "A person of the organisation established that it was carried out.";
const DID_NOT_HAPPEN =
  "A person of the organisation established that it was not carried out. For 24 hours after it was started it still" +
  " counts towards limits.";

/** What somebody established, verified; `audit` is the TicketAudit of its ticket. */
export async function checkEstablished({ part, envelope, args, told, rosterThen, trust }) {
  const signed = part.settlement;
  const read = readSettlement(signed.statement);
  const leaf = told.last(...Object.values(FOUND));
  if (told.redeemed === null || leaf === null || !read.seat.startsWith("staff:")) {
    refuse("seat", "Nobody could establish anything of this ticket, or not in this role.");
  }
  const { seat, found, person } = read;
  const statement = await digest("counterfoil-settlement", signed.statement);
  const other = leaf.values !== null && !says(leaf, { statement, seat, found, person });
  if (leaf.event !== FOUND[found] || leaf.at < read.iat || other) {
    refuse("leaf", `Leaf ${leaf.index} tells of another statement.`);
  }
  return checkSettlement(signed, {
    envelope,
    envelopeText: part.envelope,
    display: await shown(part.displays, envelope, args, told.redeemed.at, read),
    redeemedAt: told.redeemed.at,
    decided: part.statements.map((each) => readStatement(each.statement).person),
    roster: await rosterThen(read.iat),
    trust,
  });
}

/** The digest of the page on which it was signed; where the bundle lacks that page, the one that was signed. */
async function shown(displays, envelope, args, redeemedAt, settlement) {
  const pages = displays.filter(({ seat }) => seat === "settlement");
  if (pages.length === 0) return settlement.display;
  if (pages.length > 1) refuse("twice", "What the page showed is in the bundle twice.");
  const { ticket, started_at: startedAt, request } = readPage(pages[0].content);
  if (ticket !== envelope.ticket || startedAt !== redeemedAt || !isObject(request)) {
    refuse("page", "The page told of another ticket.");
  }
  checkPage(request, envelope, args, settlement.seat);
  return digest("counterfoil-settlement-display", pages[0].content);
}

/** Whether the outcome is the recorded one; false where no leaf that can be read records any. */
export function checkOutcome(part, told, settlement) {
  const leaf = told.last(...REPORTED, ...Object.values(FOUND), "decline");
  if (leaf === null || leaf.values === null) return false;
  let recorded = leaf.values.outcome ?? null;
  if (leaf.event === "decline") {
    recorded = { reason: leaf.values.why ?? null };
  } else if ("statement" in leaf.values) {
    if (settlement === null) refuse("settlement", "The statement of whoever established it is missing, or does not hold.");
    recorded = outcomeOf(settlement);
  }
  if (recorded === null || part.outcome !== canonical(recorded)) {
    refuse("outcome", `It is not the one that leaf ${leaf.index} records.`);
  }
  return true;
}

/** What is recorded of a settlement as the ticket's outcome. */
function outcomeOf({ found, reference }) {
  if (found === "not_executed") return { reason: DID_NOT_HAPPEN, settled: true };
  const receipt = reference === "" ? { summary: HAPPENED } : { summary: HAPPENED, reference };
  return { receipt, settled: true };
}
