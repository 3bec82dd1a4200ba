"""Every refusal Counterfoil can answer with.

Each error has a stable ``code`` for programs, one sentence of what happened and one of what to do. The words reach
models and people: they never hold a secret, another person's data or a stack trace. An error means that nothing was
changed.
"""

from __future__ import annotations

from typing import ClassVar

ASK_AGAIN = "The same can be asked for again 24 hours after it was first asked for."
"""Until then an equal request is the same ticket."""


class CounterfoilError(Exception):
    """A refusal. ``happened`` and ``remedy`` are one sentence each."""

    code: ClassVar[str] = "refused"
    happened_default: ClassVar[str] = "The request was refused."
    remedy_default: ClassVar[str] = "Check the request and try again."

    def __init__(self, happened: str | None = None, remedy: str | None = None) -> None:
        self.happened = happened or self.happened_default
        self.remedy = remedy or self.remedy_default
        super().__init__(f"{self.happened} {self.remedy}")

    def to_dict(self) -> dict[str, str]:
        """The shape in which tools, pages and ``--json`` show an error."""
        return {"code": self.code, "happened": self.happened, "remedy": self.remedy}


# What came in ---------------------------------------------------------------------------------------------------------


class BadJSON(CounterfoilError):
    """The bytes are not the strict JSON that can be signed without ambiguity (T23)."""

    code = "bad_json"
    happened_default = "The message is not strict JSON."
    remedy_default = "Send UTF-8 JSON without duplicate keys, NaN, huge numbers or lone surrogates."


class BadArguments(CounterfoilError):
    """The arguments do not fit the tool's input schema."""

    code = "bad_arguments"
    happened_default = "The arguments do not fit the tool's input schema."
    remedy_default = "Correct them by the tool's input schema and call again."


class UnknownTool(CounterfoilError):
    """The desk offers no such tool."""

    code = "unknown_tool"
    happened_default = "This desk has no tool of that name."
    remedy_default = "List the tools and use one of their names."


class UnknownTicket(CounterfoilError):
    """Unknown, expired from memory and foreign tickets answer alike (T04, T32)."""

    code = "unknown_ticket"
    happened_default = "There is no such ticket for you."
    remedy_default = "Use the ticket id exactly as the request tool returned it."


class UnknownConversation(CounterfoilError):
    """No such conversation of this principal, or not any more; the same answer for all of these (T39)."""

    code = "unknown_conversation"
    happened_default = "There is no such conversation for you, or it has ended."
    remedy_default = "Call start_conversation once for this chat, and use the conversation it returns."


class NoAccess(CounterfoilError):
    """A personal read without a live grant."""

    code = "no_access"
    happened_default = "Nobody has granted access to their records in this conversation, or it has ended."
    remedy_default = "Ask for it with request_access; the account's holder confirms it outside this chat."


class NotTheirs(CounterfoilError):
    """A personal read returned a record of somebody else (T43)."""

    code = "not_theirs"
    happened_default = "The organisation's records could not be read for this account."
    remedy_default = "Tell the user that it does not work at the moment."


class NotIsolated(CounterfoilError):
    """Personal records behind a credential that several customers may share."""

    code = "not_isolated"
    happened_default = (
        "This agent's credential may be shared by several customers, so nobody's records are opened to it."
    )
    remedy_default = "Whoever runs the server decides: see trust_client_isolation in its settings."


class TooManyRequests(CounterfoilError):
    """A quota of the caller is used up (T12, T13)."""

    code = "too_many_requests"
    happened_default = "Too many requests are waiting for people to decide."
    remedy_default = "Wait until some are decided or expire, or cancel those that are no longer needed."


class AccountBusy(TooManyRequests):
    """As many tickets wait on one account as may. Never shown to an AI: it would reveal that the account is known."""


class Unauthenticated(CounterfoilError):
    """No valid credential came with the call."""

    code = "unauthenticated"
    happened_default = "The call carries no valid bearer token."
    remedy_default = "Send 'Authorization: Bearer <token>' with a token from 'counterfoil principals add'."


# A ticket's life ------------------------------------------------------------------------------------------------------


class WrongState(CounterfoilError):
    """The transition table has no such step from the ticket's state."""

    code = "wrong_state"
    happened_default = "The ticket's state does not allow this."
    remedy_default = f"Ask for the ticket's status. {ASK_AGAIN}"


class Expired(CounterfoilError):
    """A ticket, link, statement, capability or order is past its time."""

    code = "expired"
    happened_default = "It has expired."
    remedy_default = ASK_AGAIN


class AlreadyUndone(WrongState):
    """A second undo of one ticket."""

    happened_default = "It was undone already, or is being undone."


class Suspended(CounterfoilError):
    """A suspension or final revocation covers what was asked."""

    code = "suspended"
    happened_default = "This is suspended at the moment."
    remedy_default = "An administrator can lift it with 'counterfoil resume'."


class PolicyRefuses(CounterfoilError):
    """The policy does not allow it with the evidence at hand."""

    code = "policy_refuses"
    happened_default = "The policy does not allow this."
    remedy_default = "Nothing was done; ask the organisation's staff."


class CountersMoved(CounterfoilError):
    """Another redemption changed a counter that the policy had looked at; the caller decides again."""

    code = "counters_moved"
    happened_default = "Another operation on the same account was executed at the same moment."
    remedy_default = "Try again."


class CapabilityRefused(CounterfoilError):
    """The capability is forged, spent, expired, or not for this ticket and caller; all answer alike."""

    code = "capability_refused"
    happened_default = "This capability does not redeem this ticket."
    remedy_default = "Ask for the ticket's status; only an approved ticket can be redeemed, and only once."


class OrderRefused(CounterfoilError):
    """The executor does not accept the order; its words say which check failed."""

    code = "order_refused"
    happened_default = "The executor refused the order."
    remedy_default = "Nothing was run; an administrator should look at 'counterfoil tickets show'."


class StatementRefused(CounterfoilError):
    """A person's signed statement does not verify or does not count."""

    code = "statement_refused"
    happened_default = "The signature was not accepted."
    remedy_default = "Open the link from the message again and sign once more."


class RosterRefused(CounterfoilError):
    """A roster record, or the chain of them, does not verify (T49)."""

    code = "roster_refused"
    happened_default = "The roster of people does not verify."
    remedy_default = "Nothing can be approved until an administrator has run 'counterfoil doctor'."


class EvidenceRefused(CounterfoilError):
    """Evidence that was handed out, or a file that says it is, cannot be read or used."""

    code = "evidence_refused"
    happened_default = "This is no evidence that can be read."
    remedy_default = "Rely on nothing in it; ask whoever gave it to you for another one."


class FeedRefused(CounterfoilError):
    """A page of the authority's feed does not verify, does not go on, or is too old (T47, T50)."""

    code = "feed_refused"
    happened_default = "The authority's feed does not verify."
    remedy_default = "Nothing is run until it does: keep the page, and ask the authority's operator about its log."


class TamperDetected(CounterfoilError):
    """Stored records contradict what was signed or chained (T40)."""

    code = "tamper_detected"
    happened_default = "The stored records of this ticket were changed outside Counterfoil."
    remedy_default = "Nothing was run; an administrator should run 'counterfoil doctor'."


class ProofRefused(CounterfoilError):
    """A checkpoint, its signature, or a proof about the log does not hold."""

    code = "proof_refused"
    happened_default = "The proof does not hold."
    remedy_default = "Keep what you were given, and ask its operator for the log's checkpoints."


class CodeRefused(CounterfoilError):
    """The match code typed is not the one from the chat (T10)."""

    code = "code_refused"
    happened_default = "That is not the code from the chat."
    remedy_default = "Type the six digits that the assistant showed; after three tries the request is declined."


class LinkRefused(CounterfoilError):
    """Unknown, used, expired and foreign links and sessions answer alike (T32)."""

    code = "link_refused"
    happened_default = "This link is not valid, or not for you."
    remedy_default = "Open the newest link from your own messages."


# What an organisation declares, and the place it runs in --------------------------------------------------------------


class DeskError(CounterfoilError):
    """The desk's declarations are wrong; found at load."""

    code = "desk_error"
    happened_default = "The desk cannot be loaded."
    remedy_default = "Correct the desk and start again."
    placed = False
    """Whether ``happened`` begins with file and line."""


class PolicyError(CounterfoilError):
    """The policy is wrong; found at load."""

    code = "policy_error"
    happened_default = "The policy cannot be loaded."
    remedy_default = "Correct the policy and run 'counterfoil policy check'."


class CasesError(CounterfoilError):
    """The file of the policy's cases is wrong."""

    code = "cases_error"
    happened_default = "The policy's cases cannot be used."
    remedy_default = "Correct them and run 'counterfoil policy test'."


class SettingsError(CounterfoilError):
    """A setting is missing or wrong."""

    code = "settings_error"
    happened_default = "The settings cannot be used."
    remedy_default = "Correct counterfoil.toml and start again."


class KeyFileError(CounterfoilError):
    """A key file is missing, damaged or readable by others."""

    code = "key_file_error"
    happened_default = "A key file cannot be used."
    remedy_default = "Restore it from your backup; do not delete it."


class SignerFailed(CounterfoilError):
    """Whoever holds the authority's key did not sign, not in time, or not with that key; nothing was handed out."""

    code = "signer_failed"
    happened_default = "Whoever signs for the authority could not be reached, or refused."
    remedy_default = "Nothing was lost: it is asked again. Look at the key service, and run 'counterfoil doctor'."


class KeysElsewhere(CounterfoilError):
    """The authority's keys are where the server cannot change them; whoever put them there can."""

    code = "keys_elsewhere"
    happened_default = "The authority's keys are not in files of this server, so it cannot change them."
    remedy_default = "Change them where they are kept, and start the server again."


class StateFolderInUse(CounterfoilError):
    """Another process owns the state folder (T48)."""

    code = "state_folder_in_use"
    happened_default = "Another Counterfoil process uses this state folder."
    remedy_default = "Stop it first, or use another state folder."


class NewerSchema(CounterfoilError):
    """The database was written by a newer version."""

    code = "newer_schema"
    happened_default = "The database was written by a newer version of Counterfoil."
    remedy_default = "Start the newer version; this one changes nothing."


class StoreFailed(CounterfoilError):
    """The store could not commit (a full disk, a damaged file); nothing of the call was kept."""

    code = "store_failed"
    happened_default = "The database could not be written; nothing was changed."
    remedy_default = "Check the disk's free space and 'counterfoil doctor', then try again."


class UnknownName(CounterfoilError):
    """An administrator named a principal, person, ticket or scope that does not exist."""

    code = "unknown_name"
    happened_default = "There is nothing of that name."
    remedy_default = "List the names and try again."
